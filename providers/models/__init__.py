from providers.models.deployments import (
    AIModel,
    AIModelQuerySet,
    Kind,
    Strategy,
    UnknownParams,
)
from providers.models.prices import ALL_PRICE_FIELDS, PRICE_FIELDS, RARE_PRICES, ModelPrice
from providers.models.providers import OnDisconnect, Provider, ProviderKey, check_base_url
from providers.models.rests import Load, Rest

__all__ = [
    "ALL_PRICE_FIELDS",
    "PRICE_FIELDS",
    "RARE_PRICES",
    "AIModel",
    "AIModelQuerySet",
    "Kind",
    "Load",
    "ModelPrice",
    "OnDisconnect",
    "Provider",
    "ProviderKey",
    "Rest",
    "Strategy",
    "UnknownParams",
    "check_base_url",
]
