"""From the one object of settings that a one-layer program sends to a connection and a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from providers import catalog
from providers.catalog import Flat
from providers.catalog.flat import PAIR, RETRIES, pair_text
from providers.models import AIModel, ProviderKey
from providers.sensitive import MASK, has_secret, masked
from providers.services import keyrings
from providers.services.connections import Connection
from providers.services.flat_reading import (
    USUAL_RETRIES,
    implicit_name,
    meaning,
    pair_parts,
    setting_names,
)
from providers.services.masks import keeps_stored, unmasked

JSON = dict[str, Any]

NOT_IN_CLEAR = "config.{name}: A secret has no place here under this name, and would be stored in clear. Leave it out."
HALF_A_PAIR = "config.{name}: Enter both parts of a pair again, or leave both masked."


@dataclass(frozen=True, slots=True)
class Written:
    """`sent` is the object to be kept with the model, without its secrets."""

    connection: Connection
    kind: str
    upstream_name: str
    sent: JSON


def written(model: AIModel, requester: str, config: JSON, shown: Mapping[str, Any]) -> Written:
    """`model` may be a new one. `shown` is its object as it was told before. Raises ValidationError."""
    flat, provider = catalog.flat(requester), None if model._state.adding else model.provider
    stored = provider.config if provider else {}
    names = setting_names(requester, stored)
    _check_required(flat, config, shown)
    _check_extras({name: value for name, value in config.items() if name not in names | flat.own})
    sent = {name: config[name] for name in config if name in names}
    settings = unmasked(sent, stored)
    connection = Connection(
        requester=requester,
        base_url=_text(flat, config, flat.address),
        secrets=_secrets(flat, config, keyrings.rows_of(provider) if provider else ()),
        config={
            **{name: value for name, value in stored.items() if name not in names},
            **_meanings(flat, settings),
        },
        keeps_secrets=keeps_stored(settings, sent) or has_secret(model.extra_args),
        retries=_retries(flat, config),
    )
    upstream_name = model.upstream_name if flat.name in names else _text(flat, config, flat.name)
    return Written(connection, _kind(model, requester), upstream_name or implicit_name(flat, model), masked(config))


def _meanings(flat: Flat, settings: JSON) -> JSON:
    found = {name: meaning(flat, name, value) for name, value in settings.items()}
    return {name: value for name, value in found.items() if value is not None}


def _check_required(flat: Flat, config: JSON, shown: Mapping[str, Any]) -> None:
    """What a stored model never had, made in another way, it need not have now."""
    for name in flat.required:
        is_missing = meaning(flat, name, config.get(name)) is None
        if is_missing and (not shown or name in shown):
            raise ValidationError(f"config.{name} is required")


def _check_extras(extras: JSON) -> None:
    for name in extras:
        if has_secret({name: extras[name]}):
            raise ValidationError(NOT_IN_CLEAR.format(name=name))


def _text(flat: Flat, config: JSON, name: str) -> str:
    value = meaning(flat, name, config.get(name)) if name else None
    if not isinstance(value, str | None):
        raise ValidationError(f"config.{name}: Give a text.")
    return value or ""


def _retries(flat: Flat, config: JSON) -> int:
    value = meaning(flat, RETRIES, config.get(RETRIES))
    if value is None:
        return USUAL_RETRIES
    if not isinstance(value, int) or isinstance(config[RETRIES], bool) or value < 0:
        raise ValidationError(f"config.{RETRIES}: Give a whole number from 0 upwards.")
    return value


def _kind(model: AIModel, requester: str) -> str:
    """A model's own, where such a provider can have some."""
    is_its_own = not (model._state.adding or catalog.kind_refusal(requester, model.kind))
    return model.kind if is_its_own else catalog.usual_kind(requester)


# Secrets


def _secrets(flat: Flat, config: JSON, rows: Sequence[ProviderKey]) -> tuple[str, ...] | None:
    """As a connection takes them: a mask at the place of each row that stays. None: all stay, and none is new."""
    places: list[str] = [""] * len(rows)
    key = _text(flat, config, flat.key)
    entered = [key] if key not in ("", MASK) else []
    if key == MASK:
        _keep(places, [place for place, row in enumerate(rows) if not pair_parts(flat, row)])
    paired = [place for place, row in enumerate(rows) if pair_parts(flat, row)]
    for number, pair in enumerate(_pairs(flat, config)):
        if _is_masked(flat, pair):
            _keep(places, paired[number : number + 1])
        else:
            entered.append(_pair_text(flat, pair))
    return (*places, *entered) if entered or "" in places or not places else None


def _keep(places: list[str], kept: Sequence[int]) -> None:
    if not kept:
        raise ValidationError(keyrings.NO_VALUE)
    for place in kept:
        places[place] = MASK


def _pairs(flat: Flat, config: JSON) -> list[Mapping[str, Any]]:
    given = config.get(flat.pairs) if flat.pairs else None
    pairs = [] if given in (None, "") else given
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        raise ValidationError(f"config.{flat.pairs}: Give a list of objects.")
    return pairs


def _is_masked(flat: Flat, pair: Mapping[str, Any]) -> bool:
    masks = {pair[part] == MASK for part in PAIR if pair.get(part)}
    if len(masks) > 1:
        raise ValidationError(HALF_A_PAIR.format(name=flat.pairs))
    return True in masks


def _pair_text(flat: Flat, pair: Mapping[str, Any]) -> str:
    try:
        return pair_text(pair)
    except ValueError as error:
        raise ValidationError(f"config.{flat.pairs}: {error}") from None
