"""Fields that take a value as it is or refuse it: a number is no text here, and a text is no number."""

import math
from typing import Any

from rest_framework import serializers


class Text(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return bool(data)


class Count(serializers.IntegerField):
    """A number of a query, which is never refused: what is none, or not above zero, is the default."""

    def __init__(self, *, fallback: int, most: int, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.fallback, self.most = fallback, most

    def get_default(self) -> int:
        return self.fallback

    def to_internal_value(self, data: Any) -> int:
        try:
            number = float(str(data))
        except ValueError:
            return self.fallback
        if math.isnan(number) or number < 1:
            return self.fallback
        return int(min(number, self.most))


class Switch(serializers.CharField):
    """A yes or no of a query; only a clear yes is one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, **kwargs)

    def get_default(self) -> bool:  # type: ignore[override]  # a text comes in, a truth goes out
        return False

    def to_internal_value(self, data: Any) -> bool:  # type: ignore[override]  # the same
        return str(data).strip().lower() in ("true", "1", "yes")
