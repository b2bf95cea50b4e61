"""What the requests that start background tasks have in their bodies."""

from datetime import UTC, datetime
from typing import Any

from rest_framework.serializers import ChoiceField, DateTimeField, ListField, Serializer

from gateway.dialects.langbot.bodies import Text

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
MOST_MODELS = 5000


class Moment(DateTimeField):
    """Without a zone it is one of the gateway's. There is no call before or after what can be told in every zone."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return min(max(super().to_internal_value(value), EARLIEST), LATEST)
        except OverflowError:  # the library looks at some in a zone that does not have them
            self.fail("overflow")


class ImportSerializer(Serializer[Any]):
    models = ListField(
        child=Text(max_length=255),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MOST_MODELS,
        help_text="As the scan names them. Absent or null: all.",
    )
    prefix = Text(
        required=False, allow_blank=True, max_length=100, help_text="Put before each public name, such as acme/."
    )


class ExportSerializer(Serializer[Any]):
    kind = ChoiceField(["config", "charges"])
    since = Moment(required=False, allow_null=True, help_text="Charges only: the first moment that counts.")
    until = Moment(required=False, allow_null=True, help_text="Charges only: the first moment that does not.")
