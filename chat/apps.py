from django.apps import AppConfig


class ChatConfig(AppConfig):
    """What was said."""

    name = "chat"
    default_auto_field = "django.db.models.BigAutoField"
