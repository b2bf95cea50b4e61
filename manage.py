#!/usr/bin/env python
"""Django's command line for Weighbridge: `manage.py up` starts everything, `manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        prepare()
    except (ImproperlyConfigured, OSError, ValueError) as error:
        sys.exit(f"Weighbridge can't start: {error}")
    execute_from_command_line(sys.argv)


def prepare() -> None:
    """Load the settings, so that a wrong one is one sentence. The first `up` makes the secrets that they need."""
    from django.conf import settings

    if sys.argv[1:2] == ["up"]:
        from gateway import secrets

        secrets.ensure()
    _ = settings.SECRET_KEY


if __name__ == "__main__":
    main()
