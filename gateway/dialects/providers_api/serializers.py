"""What this dialect takes: the bodies and queries of its endpoints."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gateway.dialects.providers_api.fields import Count, Flag, Switch, Text, Whole

LIMIT, MOST = 100, 1000
FARTHEST = 10**15  # an offset that every database takes
METADATA_BYTES = 64 * 1024
# Before and after these there are no calls, and databases don't take every day that a calendar has.
FIRST_DAY, LAST_DAY = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

# Providers


class ProviderMetadata(serializers.Serializer[Any]):
    """Fields that are known here have their types; whatever else is there is kept as it is."""

    displayName = Text(max_length=255, required=False, allow_blank=True, allow_null=True)
    baseUrl = Text(max_length=500, required=False, allow_blank=True, allow_null=True, help_text="http or https.")
    models = serializers.ListField(
        child=Text(max_length=255),
        max_length=1000,
        required=False,
        allow_null=True,
        help_text="Names of models to add, if they are not there yet. None is removed.",
    )
    defaultModel = Text(max_length=255, required=False, allow_blank=True, allow_null=True)
    requester = Text(
        max_length=64,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="The protocol: a name of the catalog's. Without it the provider's name decides.",
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known = super().to_internal_value(data)
        if len(json.dumps(data)) > METADATA_BYTES:
            raise serializers.ValidationError(f"It has more than {METADATA_BYTES} bytes.")
        unknown = {name: value for name, value in data.items() if name not in self.fields}
        return {**unknown, **{name: value for name, value in known.items() if value is not None}}


@extend_schema_field({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", "example": "openai"})
class ProviderName(Text):
    """In small letters, whatever was sent."""


class ProviderConfiguration(serializers.Serializer[Any]):
    name = ProviderName(allow_blank=True)
    apiKey = Text(max_length=20_000, trim_whitespace=False, help_text="Encrypted before it is stored; never returned.")
    metadata = ProviderMetadata(required=False, allow_null=True)


class ProviderChange(serializers.Serializer[Any]):
    apiKey = Text(max_length=20_000, required=False, trim_whitespace=False)
    displayName = Text(max_length=255, required=False)


class Page(serializers.Serializer[Any]):
    search = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    limit = Count(fallback=LIMIT, most=MOST, help_text=f"{LIMIT} unless told, at most {MOST}.")
    offset = Count(fallback=0, most=FARTHEST)
    sortBy = serializers.CharField(required=False, allow_blank=True, default="")
    sortOrder = serializers.CharField(required=False, allow_blank=True, default="", help_text="asc or desc.")


# Log-in


class AdminCredentials(serializers.Serializer[Any]):
    username = Text(max_length=254, required=False, allow_blank=True, help_text="Or the e-mail address.")
    email = Text(max_length=254, required=False, allow_blank=True)
    password = Text(max_length=4096, required=False, allow_blank=True, trim_whitespace=False)
    deviceId = Text(max_length=255, required=False, allow_blank=True, allow_null=True, help_text="Taken, not used.")


class UserCredentials(serializers.Serializer[Any]):
    userId = Text(max_length=254, required=False, allow_blank=True, help_text="Or the e-mail address.")
    password = Text(max_length=4096, required=False, allow_blank=True, trim_whitespace=False)


class RefreshTokenBody(serializers.Serializer[Any]):
    refreshToken = Text(max_length=4096, required=False, allow_blank=True)


# People and keys

ROLES = ("admin", "user")


class PersonFields(serializers.Serializer[Any]):
    tenant = Text(max_length=255, required=False, allow_blank=True, allow_null=True)
    isAgent = Flag(required=False)
    limitRequestsPerMinute = Whole(
        required=False, allow_null=True, min_value=0, max_value=1_000_000, help_text="Kept and shown; not enforced yet."
    )
    roleId = Text(max_length=64, required=False, allow_null=True, help_text="admin or user; admin needs an admin.")


class NewPerson(PersonFields):
    email = serializers.EmailField(max_length=150)
    name = Text(max_length=150)
    createApiKey = Flag(required=False, default=False)


class PersonChange(PersonFields):
    email = serializers.EmailField(max_length=150, required=False)
    name = Text(max_length=150, required=False)


class UserPage(Page):
    forApiKeys = Switch(help_text="true: only people who are active and have no key.")


class PersonalKeyOf(serializers.Serializer[Any]):
    userId = Text(max_length=64)


# Reports


class Moment(serializers.CharField):
    """A day or a time; a day that ends something ends with it. In UTC unless the time says otherwise."""

    def __init__(self, *, is_end: bool = False, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, help_text="A day or a time, in UTC.", **kwargs)
        self.is_end = is_end

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)  # never empty: that stays as it is
        try:
            day, moment = parse_date(text), None
            moment = parse_datetime(text) if day is None else datetime.combine(day, time(), UTC)
        except ValueError:
            moment = None
        if moment is None:
            raise serializers.ValidationError("Give a day such as 2025-01-31, or a time in ISO 8601.")
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        within = min(max(aware, FIRST_DAY), LAST_DAY)
        return within + timedelta(days=1) if day and self.is_end else within


class Period(serializers.Serializer[Any]):
    startDate = Moment()
    endDate = Moment(is_end=True)


class CostQuery(Period):
    executionKey = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    provider = serializers.CharField(max_length=255, required=False, default="", allow_blank=True)
    model = serializers.CharField(max_length=255, required=False, default="", allow_blank=True)
    groupBy = serializers.ChoiceField(choices=["day", "model", "provider"], required=False, allow_blank=True)


class AuditQuery(Period):
    authId = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    apiKeyId = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    provider = serializers.CharField(max_length=255, required=False, default="", allow_blank=True)
    model = serializers.CharField(max_length=255, required=False, default="", allow_blank=True)
    decision = serializers.ChoiceField(choices=["permit", "forbid"], required=False, allow_blank=True)
    search = serializers.CharField(max_length=255, required=False, default="", allow_blank=True)
    limit = Count(fallback=10, most=MOST, help_text=f"10 unless told, at most {MOST}.")
    offset = Count(fallback=0, most=FARTHEST)
    sortBy = serializers.CharField(required=False, default="", allow_blank=True)
    sortOrder = serializers.CharField(required=False, default="", allow_blank=True)
