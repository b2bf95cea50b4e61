from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """The composition root: dialects, console and commands over the other apps."""

    name = "gateway"

    def ready(self) -> None:
        from gateway import checks  # noqa: F401  # registers them
