"""The bodies of requests about providers and models: their fields, in both shapes that this dialect has had."""

import json
from typing import Any

from django.core.exceptions import ValidationError as Refused
from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import DictField, Field, IntegerField, JSONField, Serializer, ValidationError

from gateway.dialects.langbot.bodies import Text
from gateway.dialects.langbot.reasoning import checked_reasoning
from gateway.dialects.langbot.refusals import Refusal

JSON = dict[str, Any]
Untyped = Field[Any, Any, Any, Any]

LONGEST_NAME, LONGEST_URL, LONGEST_TEXT, LONGEST_UUID = 255, 500, 10_000, 64
MOST = 2**31 - 1  # what an integer column holds
MOST_WORDS, MOST_KEYS, LONGEST_KEY = 100, 1000, 20_000
OBJECT_BYTES = 64 * 1024

STRINGS: JSON = {"type": "array", "items": {"type": "string"}}
GROUPS: JSON = {
    "oneOf": [
        STRINGS,
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "keys": STRINGS},
            },
        },
        {"type": "string"},
    ],
    "nullable": True,
}


@extend_schema_field({**GROUPS, "description": "Secrets, or named lists of them. `***` keeps what is stored there."})
class ApiKeys(Untyped):
    """A list of secrets, one secret, or [{"name", "keys"}]; comes out as [(name, [secret])].

    The documentation's sample, [{}], says nothing of keys: None.
    """

    def to_internal_value(self, data: Any) -> list[tuple[str, list[str]]] | None:
        entries = [data] if isinstance(data, str) else data
        if not isinstance(entries, list):
            raise ValidationError("Give a list of keys.")
        groups = (
            _flat(entries) if all(isinstance(each, str) for each in entries) else [_group(each) for each in entries]
        )
        keys = [key for _, group in groups for key in group]
        if len(keys) > MOST_KEYS or any(len(key) > LONGEST_KEY for key in keys):
            raise ValidationError(f"Give no more than {MOST_KEYS} keys, of no more than {LONGEST_KEY} characters each.")
        return groups if not entries or any(isinstance(each, str) or "keys" in each for each in entries) else None


def _flat(keys: list[str]) -> list[tuple[str, list[str]]]:
    return [("default", keys)] if keys else []


def _group(entry: Any) -> tuple[str, list[str]]:
    keys = entry.get("keys", []) if isinstance(entry, dict) else None
    name = entry.get("name", "default") if isinstance(entry, dict) else None
    if not (isinstance(keys, list) and isinstance(name, str) and all(isinstance(key, str) for key in keys)):
        raise ValidationError('Give texts, or objects with a "name" and a list of "keys".')
    return name, keys


WORDS: JSON = {"type": "array", "items": {"type": "string", "minLength": 1}, "example": ["vision", "func_call"]}


@extend_schema_field(WORDS)
class Abilities(Untyped):
    """Words; the order stays. A list in the list, as the documentation's sample has it, is taken for its words."""

    def to_internal_value(self, data: Any) -> list[str]:
        words = [word for each in data for word in (each if isinstance(each, list) else [each])] if _is(data) else None
        if words is None or not all(isinstance(word, str) and len(word) <= LONGEST_NAME for word in words):
            raise ValidationError("Give a list of texts.")
        if len(words) > MOST_WORDS:
            raise ValidationError(f"Give no more than {MOST_WORDS}.")
        return words


def _is(data: Any) -> bool:
    return isinstance(data, list)


@extend_schema_field({"type": "object", "properties": {"level": {"type": "string"}}, "nullable": True})
class Reasoning(Untyped):
    """{"level", "budget_tokens"?}."""

    def to_internal_value(self, data: Any) -> JSON:
        try:
            return checked_reasoning(data)
        except Refused as error:
            raise Refusal(400, " ".join(error.messages)) from error


class Objects(DictField):
    """A JSON object."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=JSONField(allow_null=True), **options)

    def to_internal_value(self, data: Any) -> JSON:
        values: JSON = super().to_internal_value(data)
        if len(json.dumps(values)) > OBJECT_BYTES:
            raise ValidationError(f"It has more than {OBJECT_BYTES} bytes.")
        return values


class ProviderFields(Serializer[None]):
    """What there is beside these, such as counts and times, is read only and passed over."""

    name = Text(max_length=LONGEST_NAME)
    requester = Text(max_length=LONGEST_NAME)
    base_url = Text(max_length=LONGEST_URL, allow_blank=True)
    api_keys = ApiKeys(required=False, allow_null=True)
    requester_config = Objects(required=False, allow_null=True, help_text="Settings that this kind of provider takes.")


class InlineProvider(Serializer[None]):
    """A provider that is meant, by its uuid; else one that is found, or made, by what it is."""

    uuid = Text(max_length=LONGEST_UUID, required=False)
    requester = Text(max_length=LONGEST_NAME, required=False, allow_blank=True)
    base_url = Text(max_length=LONGEST_URL, required=False, allow_blank=True)
    api_keys = ApiKeys(required=False, allow_null=True)
    requester_config = Objects(required=False, allow_null=True)


class ModelFields(Serializer[None]):
    """One of `provider_uuid`, `provider` and `requester` says where it is called."""

    name = Text(max_length=LONGEST_NAME)
    description = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True, allow_null=True)
    provider_uuid = Text(max_length=LONGEST_UUID, required=False, allow_null=True)
    provider = InlineProvider(required=False, allow_null=True)
    requester = Text(max_length=LONGEST_NAME, required=False)
    requester_config = Objects(
        required=False, allow_null=True, help_text="base_url, model (what the provider calls it), args, timeout."
    )
    api_keys = ApiKeys(required=False, allow_null=True)
    abilities = Abilities(required=False)
    extra_args = Objects(required=False, allow_null=True)
    prefered_ranking = IntegerField(required=False, min_value=-MOST, max_value=MOST)
    context_length = IntegerField(required=False, allow_null=True, min_value=1, max_value=MOST)
    reasoning_config = Reasoning(required=False, allow_null=True)


class TestFields(Serializer[None]):
    extra_args = Objects(required=False, allow_null=True)


class StarredFields(Serializer[None]):
    uuid = Text(max_length=LONGEST_UUID, allow_null=True)
