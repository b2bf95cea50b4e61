"""What a body says of the connection, as the services take it."""

from typing import Any

from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.langbot.shapes import OWN_SETTINGS
from providers.models import Provider
from providers.services.connections import Connection
from providers.services.masks import keeps_stored, unmasked

JSON = dict[str, Any]
Groups = list[tuple[str, list[str]]]

SHORTEST, LONGEST = 0.1, 86_400  # seconds
MAKES_NO_URL = "base_url: Give a text."


def connection_of(fields: JSON, provider: Provider | None = None) -> Connection:
    """Of a body with `requester`, `base_url`, `api_keys` and `requester_config`, what is there of them. `provider`: the
    one whose settings stay where the body does not name them, and that masks stand for."""
    settings, groups = fields.get("requester_config") or {}, fields.get("api_keys")
    config = _config(settings, provider)
    return Connection(
        requester=fields.get("requester") or None,
        base_url=fields["base_url"] if "base_url" in fields else _address(settings),
        secrets=None if groups is None else flattened(groups),
        names={key.strip(): name for name, keys in reversed(groups or []) for key in keys},
        config=config if config or provider else None,
        keeps_secrets=keeps_stored(config, settings),
        timeout=_timeout(settings),
    )


def flattened(groups: Groups) -> tuple[str, ...]:
    return tuple(key for _, keys in groups for key in keys)


def _address(settings: JSON) -> str | None:
    """It was spelled `base-url` once."""
    address = settings.get("base_url", settings.get("base-url"))
    if not isinstance(address, str | None):
        raise Refusal(400, MAKES_NO_URL)
    return address


def _config(settings: JSON, provider: Provider | None) -> JSON:
    """null removes a setting."""
    stored = provider.config if provider else {}
    sent = {name: value for name, value in settings.items() if name not in OWN_SETTINGS}
    merged = {**stored, **unmasked(sent, stored)}
    return {name: value for name, value in merged.items() if value is not None or name not in sent}


def _timeout(settings: JSON) -> float | None:
    seconds = settings.get("timeout")
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (is_number and SHORTEST <= seconds <= LONGEST):
        raise Refusal(400, f"timeout: Give a number of seconds from {SHORTEST} to {LONGEST}.")
    return float(seconds)
