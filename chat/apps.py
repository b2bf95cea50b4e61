from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatConfig(AppConfig):
    """What was said."""

    name = "chat"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_make_months, sender=self)


def _make_months(plan: Any = None, **_: Any) -> None:
    """The months to come, after each migration; a test's flush sends the same signal, and has them already."""
    if plan is not None:
        from chat.services import partitions  # models can't be imported any sooner

        partitions.make_ahead()
