"""A model's body into its row's columns, in both of this dialect's shapes (contract 1.7)."""

from dataclasses import replace
from typing import Any

from chat.services import probes
from chat.services.probes import ProbeResult
from common.models import noted
from gateway.dialects.langbot.bodies_providers import JSON
from gateway.dialects.langbot.connecting import connection_of
from gateway.dialects.langbot.providers import find_provider
from gateway.dialects.langbot.reasoning import check_fit
from gateway.dialects.langbot.refusals import Refusal
from gateway.dialects.langbot.requesters import TYPES
from gateway.dialects.langbot.shapes import PROGRAM, arguments_of, notes_of, reasoning_of
from providers import catalog
from providers.models import AIModel, Kind, Provider
from providers.policies import effort_of
from providers.services import connections, providers
from providers.services.keyrings import normalised
from providers.services.masks import keeps_stored, unmasked

VISION = "vision"
CONTRADICTION = "requester: The provider that provider_uuid names has another requester."
NO_SOURCE = "provider_uuid: Give a provider_uuid, a provider, or a requester."


def applied(model: AIModel, fields: JSON) -> AIModel:
    """The row with what the body says of the model itself; what it does not say stays. Raises ValidationError."""
    before = (model.abilities, model.extra_args)
    _name(model, fields)
    _arguments(model, fields)
    if model.kind == Kind.LLM:
        _abilities(model, fields)
        if _reasoning(model, fields) or (model.abilities, model.extra_args) != before:
            check_fit(reasoning_of(model), model.abilities, model.extra_args)
        model.context_length = fields.get("context_length", model.context_length)
    if "description" in fields:
        model.description = fields["description"] or ""
    if "prefered_ranking" in fields:
        note(model, prefered_ranking=fields["prefered_ranking"])
    if fields.get("api_keys"):
        note(model, keys=[[name, len(normalised(keys))] for name, keys in fields["api_keys"] if normalised(keys)])
    return model


def note(model: AIModel, **values: Any) -> None:
    model.metadata = noted(model.metadata, PROGRAM, values)


def _name(model: AIModel, fields: JSON) -> None:
    """A name is also what upstream calls it, unless `requester_config.model` says otherwise, which is noted: what only
    repeats what was shown for want of it says nothing."""
    settings = fields.get("requester_config") or {}
    told = settings.get("model")
    if not isinstance(told, str | None):
        raise Refusal(400, "requester_config.model: Give a text.")
    is_the_same = model.upstream_name in ("", model.name)
    is_repeated = is_the_same and told == model.upstream_name and not notes_of(model).get("upstream_name")
    model.name = fields.get("name", model.name)
    if told and not is_repeated:
        note(model, upstream_name=told)
        model.upstream_name = told
    elif is_the_same or ("model" in settings and not told):
        note(model, upstream_name="")
        model.upstream_name = model.name


def _arguments(model: AIModel, fields: JSON) -> None:
    stored_args, stored_extra = arguments_of(model)
    told = (fields.get("requester_config") or {}).get("args")
    if not isinstance(told, dict | None):
        raise Refusal(400, "requester_config.args: Give an object.")
    args = stored_args if told is None else unmasked(told, stored_args)
    extra_args = stored_extra
    if "extra_args" in fields:
        extra_args = unmasked(fields["extra_args"] or {}, stored_extra)
    model.extra_args = {**args, **extra_args}
    note(model, args=args, extra_args=extra_args)


def _abilities(model: AIModel, fields: JSON) -> None:
    """Who gives abilities here means them: without "vision" there are no images, without "func_call" no tools."""
    abilities = fields.get("abilities")
    if abilities is not None and (model._state.adding or abilities != model.abilities):
        model.abilities, model.keeps_to_abilities = abilities, True
        model.is_multimodal = VISION in abilities


def _reasoning(model: AIModel, fields: JSON) -> bool:
    """Whether the body says something new of it."""
    shown = reasoning_of(model)
    config = fields.get("reasoning_config") or shown
    if config != shown:
        note(model, reasoning_config=config)
        model.reasoning_effort = effort_of(config)
    return config != shown


# Where it is called


def connected(fields: JSON, model: AIModel) -> Provider:
    """The provider that the body names, finds or describes; the model's own where it says nothing new of it.

    Raises Refusal or ValidationError.
    """
    current = model.provider if model.provider_id else None
    other = _other(fields, current)
    if other is None:
        return _described(fields, model, current)
    connections.move(model=model, to=other, keeps_secrets=_keeps_arguments(model, fields))
    return model.provider


def _other(fields: JSON, current: Provider | None) -> Provider | None:
    """The one that is named or found, unless it is the current one."""
    named, inline = _named(fields), fields.get("provider")
    if named is None:
        return connections.find_or_make(connection=connection_of(inline), program=PROGRAM) if inline else None
    if current is None and _contradicts(fields, named):
        raise Refusal(400, CONTRADICTION)
    return named if named != current else None


def _keeps_arguments(model: AIModel, fields: JSON) -> bool:
    """Whether secrets in its arguments are not sent again: they belong to where they were entered for."""
    args = (fields.get("requester_config") or {}).get("args") or {}
    return keeps_stored(model.extra_args, {**args, **(fields.get("extra_args") or {})})


def _named(fields: JSON) -> Provider | None:
    uuid = fields.get("provider_uuid") or (fields.get("provider") or {}).get("uuid")
    return find_provider(uuid) if uuid else None


def _contradicts(fields: JSON, provider: Provider) -> bool:
    return "requester" in fields and catalog.canonical(fields["requester"]) != provider.requester


def _described(fields: JSON, model: AIModel, current: Provider | None) -> Provider:
    """By the one-layer shape."""
    if current is None:
        if not fields.get("requester"):
            raise Refusal(400, NO_SOURCE)
        return connections.find_or_make(connection=connection_of(fields), program=PROGRAM)
    wanted = connection_of(fields, providers.locked(provider=current))
    wanted = replace(wanted, keeps_secrets=wanted.keeps_secrets or _keeps_arguments(model, fields))
    connections.change_of_model(model=model, connection=wanted, program=PROGRAM)
    return model.provider


def check_kind(requester: str, kind: str) -> None:
    """Raises Refusal."""
    if catalog.kind_refusal(requester, kind):
        raise Refusal(400, f"Provider {requester} does not support {TYPES[kind]} models")


# A model that is not stored


def tested(fields: JSON, kind: str) -> ProbeResult:
    """A call to what the body describes; nothing is stored. Raises Refusal or ValidationError."""
    model = applied(AIModel(kind=kind), fields)
    named = _named(fields)
    if named is not None:
        model.provider = named
        check_kind(named.requester, kind)
        return probes.test_draft(model=model)
    return _tested_alone(model, fields.get("provider") or fields)


def _tested_alone(model: AIModel, source: JSON) -> ProbeResult:
    wanted = connection_of(source)
    if not wanted.requester:
        raise Refusal(400, NO_SOURCE)
    secrets = connections.new_secrets(wanted)
    check_kind(wanted.requester, model.kind)
    return probes.test_unsaved(
        requester=wanted.requester,
        base_url=wanted.base_url or "",
        secrets=secrets,
        config=wanted.config or {},
        kind=model.kind,
        upstream_name=model.upstream_name,
        extra_args=model.extra_args,
        reasoning_effort=model.reasoning_effort,
    )
