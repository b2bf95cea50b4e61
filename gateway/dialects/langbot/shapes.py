"""Providers and models in this dialect's shapes: the two-layer one, and beside it what the one-layer one had.

No secret leaves: a key is `***` for every reader, and so is what stands under a sensitive name.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.dialects.langbot.envelope import time_text
from gateway.dialects.langbot.identity import workspace_uuid
from gateway.dialects.langbot.reasoning import DEFAULT, LEVELS, capabilities
from gateway.dialects.langbot.requesters import TYPES
from providers.models import AIModel, Kind, Provider
from providers.policies import effort_of
from providers.sensitive import MASK, masked
from providers.services.discovery import Scanned

JSON = dict[str, Any]

PROGRAM = "langbot"  # whose part of a row's metadata is this dialect's
OWN_SETTINGS = ("base_url", "base-url", "model", "args", "timeout")  # in requester_config; the rest are the provider's


def notes_of(row: Provider | AIModel) -> JSON:
    notes: JSON = row.metadata.get(PROGRAM, {})
    return notes


def provider_shape(provider: Provider, keys: int) -> JSON:
    """A provider as it stands inside a model; `keys` is how many it has."""
    return {
        "uuid": str(provider.uuid),
        "workspace_uuid": workspace_uuid(),
        "name": provider.name,
        "requester": provider.requester,
        "base_url": provider.address,
        "api_keys": [MASK] * keys,
        "created_at": time_text(provider.created_at),
        "updated_at": time_text(provider.updated_at),
    }


def counted_provider(provider: Provider, keys: int, counts: Mapping[str, int]) -> JSON:
    """The same where providers are listed. The counts are of this dialect's three kinds of model."""
    settings = {name: value for name, value in provider.config.items() if name not in OWN_SETTINGS}
    return {
        **provider_shape(provider, keys),
        **{f"{kind}_count": counts.get(kind, 0) for kind in TYPES},
        **({"requester_config": masked(settings)} if settings else {}),
    }


def model_shape(model: AIModel, keys: int, *, with_provider: bool = True) -> JSON:
    args, extra_args = arguments_of(model)
    provider = {"provider": provider_shape(model.provider, keys)} if with_provider else {}
    return {
        "uuid": str(model.uuid),
        "workspace_uuid": workspace_uuid(),
        "name": model.name,
        "description": model.description,
        "provider_uuid": str(model.provider.uuid),
        "extra_args": masked(extra_args),
        "prefered_ranking": notes_of(model).get("prefered_ranking", 0),
        "created_at": time_text(model.created_at),
        "updated_at": time_text(model.updated_at),
        "requester": model.provider.requester,
        "requester_config": _requester_config(model, args),
        "api_keys": _grouped(notes_of(model).get("keys", []), keys),
        **provider,
        **(_of_language_models(model) if model.kind == Kind.LLM else {}),
    }


def _of_language_models(model: AIModel) -> JSON:
    return {
        "abilities": model.abilities,
        "context_length": model.context_length,
        "reasoning_config": reasoning_of(model),
        "reasoning_capabilities": capabilities(model.abilities),
    }


def reasoning_of(model: AIModel) -> JSON:
    """As it was sent, unless the effort has been set in another way since."""
    sent = notes_of(model).get("reasoning_config", {"level": DEFAULT})
    if effort_of(sent) == model.reasoning_effort:
        return dict(sent)
    return {"level": LEVELS.get(model.reasoning_effort, model.reasoning_effort)}


def arguments_of(model: AIModel) -> tuple[JSON, JSON]:
    """`requester_config.args` and `extra_args` as they were sent, unless the row has been edited since."""
    notes = notes_of(model)
    args, extra_args = notes.get("args", {}), notes.get("extra_args", {})
    return (args, extra_args) if {**args, **extra_args} == model.extra_args else ({}, model.extra_args)


def _requester_config(model: AIModel, args: JSON) -> JSON:
    timeout = model.provider.first_byte_timeout
    return {
        **masked(model.provider.config),
        "base_url": model.provider.address,
        "model": model.upstream_name,
        "args": masked(args),
        "timeout": int(timeout) if timeout == int(timeout) else timeout,
    }


def _grouped(groups: Sequence[Any], keys: int) -> list[JSON]:
    """The provider's keys under the names that they were sent with, where their number still fits."""
    known = [(name, count) for name, count in groups]
    if sum(count for _, count in known) != keys:
        known = [("default", keys)] if keys else []
    return [{"name": name, "keys": [MASK] * count} for name, count in known]


def scanned_shapes(found: Iterable[Scanned]) -> list[JSON]:
    """Those of this dialect's kinds."""
    return [
        {
            "id": each.id,
            "name": each.id,
            "type": each.kind,
            "abilities": list(each.abilities),
            "display_name": each.display_name,
            "description": each.description,
            "context_length": each.context_length,
            "owned_by": each.owned_by,
            "input_modalities": list(each.input_modalities),
            "output_modalities": list(each.output_modalities),
            "already_added": each.already_added,
        }
        for each in found
        if each.kind in TYPES
    ]
