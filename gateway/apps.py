from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """The composition root: dialects, console and commands over the other apps."""

    name = "gateway"
