from django.apps import AppConfig


class CommonConfig(AppConfig):
    """What the other apps stand on: money, encrypted fields, row identity, the configuration's version."""

    name = "common"
    verbose_name = "Operations"
    default_auto_field = "django.db.models.BigAutoField"
