#!/usr/bin/env python
"""Django's command line for Weighbridge: `manage.py up` starts everything, `manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    if sys.argv[1:2] == ["up"]:
        # The settings refuse to load without secrets, so the first start makes them before Django is set up.
        from gateway import secrets

        secrets.ensure()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
