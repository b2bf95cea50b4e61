"""`manage.py up`: everything that a first user needs, started by one command and ended by Ctrl-C."""


class CannotStart(Exception):
    """Why nothing was started, in one sentence for whoever typed the command."""
