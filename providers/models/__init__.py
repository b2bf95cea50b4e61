from providers.models.deployments import (
    PRICE_FIELDS,
    AIModel,
    AIModelQuerySet,
    Kind,
    Strategy,
    UnknownParams,
)
from providers.models.providers import OnDisconnect, Provider, ProviderKey, check_base_url
from providers.models.rests import Load, Rest

__all__ = [
    "PRICE_FIELDS",
    "AIModel",
    "AIModelQuerySet",
    "Kind",
    "Load",
    "OnDisconnect",
    "Provider",
    "ProviderKey",
    "Rest",
    "Strategy",
    "UnknownParams",
    "check_base_url",
]
