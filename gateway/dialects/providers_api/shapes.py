"""Our rows in this dialect's shapes: camelCase, times as "YYYY-MM-DD HH:MM:SS" in UTC, money as JSON's numbers."""

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from accounts.models import ApiKey, Charge, User
from accounts.services.reports import Total
from providers import catalog, sensitive
from providers.models import AIModel, Provider, ProviderKey
from providers.sensitive import MASK

JSON = dict[str, Any]

PROGRAM = "providers_api"  # whose entry it is in a row's metadata
USER_PREFIX = "user-"
DEFAULT_RPM = 100  # what is shown of people who were made elsewhere
SECRET_WORD = re.compile(r"key|secret|token|password|credential|authorization", re.IGNORECASE)


def moment(value: datetime | None) -> str | None:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else None


def number(amount: Decimal | int) -> orjson.Fragment:
    """An exact decimal as a JSON number: a float would round it."""
    return orjson.Fragment(f"{Decimal(amount).normalize():f}".encode())


# Providers


def kept(provider: Provider) -> JSON:
    """What this dialect keeps with a provider."""
    entry = provider.metadata.get(PROGRAM)
    return entry if isinstance(entry, dict) else {}


def display_name(provider: Provider) -> str:
    template = catalog.template(provider.name)
    return str(kept(provider).get("displayName") or (template.label if template else provider.name))


def with_parts(providers: Sequence[Provider]) -> Sequence[Provider]:
    """The rows with what their shape reads, in two queries for all of them; never the secrets."""
    models: QuerySet[AIModel] = AIModel.objects.filter(is_enabled=True).only("provider_id", "name").order_by("id")
    keys = ProviderKey.objects.filter(is_enabled=True).only("provider_id").order_by("id")
    parts = (Prefetch("models", models, to_attr="enabled_models"), Prefetch("keys", keys, to_attr="enabled_keys"))
    prefetch_related_objects(providers, *parts)
    return providers


def provider_shape(provider: Provider) -> JSON:
    """A row that `with_parts` has seen."""
    models: Iterable[AIModel] = provider.enabled_models  # type: ignore[attr-defined]  # of the prefetch
    keys: list[ProviderKey] = provider.enabled_keys  # type: ignore[attr-defined]
    return {
        "id": provider.pk,
        "name": provider.name,
        "displayName": display_name(provider),
        "baseUrl": provider.address,
        "createdAt": moment(provider.created_at),
        "updatedAt": moment(provider.updated_at),
        "models": list(dict.fromkeys(model.name for model in models)),
        "defaultModel": str(kept(provider).get("defaultModel") or ""),
        "hasCredentials": bool(keys),
        "metadata": masked(kept(provider)),
    }


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """The same, but no text is shown that stands somewhere under a name like that of a secret."""
    if isinstance(value, dict):
        return {name: masked(inner, is_secret=is_secret or _hides(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, is_secret=is_secret) for inner in value]
    return MASK if is_secret and isinstance(value, str) and value else value


def _hides(name: str) -> bool:
    return bool(SECRET_WORD.search(name)) or sensitive.hides(name)


# People and keys


def user_id(user: User) -> str:
    return f"{USER_PREFIX}{user.uuid.hex}"


def uuid_of(text: str) -> uuid.UUID | None:
    """The UUID in a user's id; None when there is none."""
    digits = text.removeprefix(USER_PREFIX)
    return uuid.UUID(digits) if re.fullmatch(r"[0-9a-f]{32}", digits) else None


def role(user: User) -> str:
    return "admin" if user.is_superuser else "staff" if user.is_staff else "user"


def name_of(user: User) -> str:
    return user.get_full_name() or user.get_username()


def notes(user: User) -> JSON:
    """What this dialect keeps with a person."""
    entry = user.metadata.get(PROGRAM)
    return entry if isinstance(entry, dict) else {}


def user_shape(user: User) -> JSON:
    own = notes(user)
    return {
        "id": user.pk,
        "userId": user_id(user),
        "email": user.email,
        "name": name_of(user),
        "tenant": own.get("tenant"),
        "isAgent": bool(own.get("isAgent", False)),
        "limitRequestsPerMinute": own.get("limitRequestsPerMinute", DEFAULT_RPM),
        "status": "active" if user.is_active else "inactive",
        "roleId": role(user),
        "createdAt": moment(user.date_joined),
        "updatedAt": own.get("updatedAt") or moment(user.date_joined),
        "lastSignIn": moment(user.last_login),
    }


def key_shape(key: ApiKey) -> JSON:
    return {
        "id": key.pk,
        "userId": user_id(key.owner) if key.owner else None,
        "keySuffix": key.suffix,
        "createdAt": moment(key.created_at),
    }


# Reports


def cost_shape(total: Total, group: str = "") -> JSON:
    names = {"day": "period", "provider": "provider", "model": "model_used"}
    shown = total.group if total.group is None or isinstance(total.group, str) else f"{total.group:%Y-%m-%d}"
    return {
        "request_count": total.calls,
        "total_input_tokens": total.input_tokens,
        "total_output_tokens": total.output_tokens,
        "total_cost": number(total.fee),
        "avg_cost_per_request": number(total.fee_per_call),
        **({names[group]: shown} if group else {}),
    }


def audit_shape(charge: Charge) -> JSON:
    """A call that was admitted: what it cost, or has set aside while it runs."""
    owner = charge.key.owner
    return {
        "id": charge.pk,
        "request_id": charge.request_id,
        "request_timestamp": moment(charge.created_at),
        "auth_id": user_id(owner) if owner else None,
        "api_key_id": charge.key_id,
        "api_key_suffix": charge.key.suffix,
        "decision": "permit",
        "action": charge.endpoint,
        "provider": charge.provider_name,
        "model": charge.model_name,
        "status": charge.outcome,
        "error": charge.error or None,
        "input_tokens": charge.prompt_tokens,
        "output_tokens": charge.output_tokens,
        "spend": number(charge.fee),
        "total_ms": charge.total_ms,
    }
