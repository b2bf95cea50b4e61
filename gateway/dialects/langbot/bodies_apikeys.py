"""The bodies of requests about API keys; what is wrong with one has a code of its own here."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import Field, Serializer

from accounts.models import Scope
from gateway.dialects.langbot.bodies import Text
from gateway.dialects.langbot.refusals import Refusal

INVALID = "invalid_api_key"
LONGEST_NAME = 255
LONGEST_DESCRIPTION = 10_000
MOMENT = {"type": "string", "format": "date-time", "nullable": True}
SCOPES = {"type": "array", "items": {"type": "string", "enum": Scope.values}, "nullable": True}

Untyped = Field[Any, Any, Any, Any]


@extend_schema_field(MOMENT)
class Expiry(Untyped):
    """A moment in the future, in ISO 8601; UTC if it names no zone. Empty: never."""

    def to_internal_value(self, data: Any) -> datetime | None:
        moment = _moment(data) if data != "" else None
        if moment and moment <= timezone.now():
            raise Refusal(400, "API key expiry must be in the future", INVALID)
        return moment


def _moment(data: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(data)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal(400, "Invalid API key expiry", "invalid_expiry") from error


@extend_schema_field(SCOPES)
class Scopes(Untyped):
    """Words for what a key may manage."""

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
            raise Refusal(400, "API key scopes must be strings", INVALID)
        scopes = [each.strip() for each in data]
        unknown = [each for each in scopes if each not in Scope.values]
        if unknown:
            raise Refusal(400, f"Unknown API key scope: {unknown[0]}", INVALID)
        return scopes


class NewKeySerializer(Serializer[None]):
    name = Text(max_length=LONGEST_NAME, missing="Name is required", missing_code=INVALID)
    description = Text(max_length=LONGEST_DESCRIPTION, required=False, allow_blank=True, allow_null=True)
    scopes = Scopes(required=False, allow_null=True)
    expires_at = Expiry(required=False, allow_null=True)


class KeyChangeSerializer(Serializer[None]):
    """None leaves what there is, and so does leaving out."""

    name = Text(
        max_length=LONGEST_NAME, required=False, allow_null=True, missing="Name is required", missing_code=INVALID
    )
    description = Text(max_length=LONGEST_DESCRIPTION, required=False, allow_blank=True, allow_null=True)
