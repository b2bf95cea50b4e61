"""Text encrypted at rest, under a keyring that can be rotated; and JSON that comes back as it was sent."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django_cryptography.fields import EncryptedMixin


@lru_cache(maxsize=8)
def _keyring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def keyring() -> MultiFernet:
    """The first key of FIELD_ENCRYPTION_KEYS encrypts, every key decrypts."""
    return _keyring(tuple(settings.FIELD_ENCRYPTION_KEYS))


if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField


class EncryptedTextField(EncryptedMixin, _Text):
    """A text that only a holder of the keyring can read. A wrong key raises `InvalidToken`, never yields the token.

    The library's own form pickles its values and is tied to SECRET_KEY; only its field plumbing is used here.
    """

    def _dump(self, value: str) -> bytes:
        return keyring().encrypt(value.encode())

    def _load(self, value: bytes) -> str:
        return keyring().decrypt(bytes(value)).decode()

    def clone(self) -> "EncryptedTextField":
        _, _, args, kwargs = self.deconstruct()
        return type(self)(*args, **kwargs)

    def deconstruct(self) -> tuple[Any, ...]:
        name, _, args, kwargs = models.TextField.deconstruct(self)
        kwargs.pop("key", None)
        kwargs.pop("ttl", None)
        return name, "common.fields.EncryptedTextField", args, kwargs


if TYPE_CHECKING:
    _JSON = models.JSONField[Any, Any]
else:
    _JSON = models.JSONField


LONGEST_WHOLE = 20  # characters of a number of 64 bits


class Numbers(json.JSONDecoder):
    """Whole numbers beyond 64 bits come as floats, which is how they are read from a request.

    PostgreSQL gives 1e30 back as a one with thirty zeros, and no answer or call can be written with such a number.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "parse_int": _number})

    def decode(self, s: str, *args: Any) -> Any:
        """Raises JSONDecodeError, which forms expect, for any depth that can't be read."""
        try:
            return super().decode(s, *args)
        except RecursionError:
            raise json.JSONDecodeError("Nested too deeply", s, 0) from None


def _number(text: str) -> int | float:
    """Infinite where there is no end of digits: `SentJSON` refuses that."""
    if len(text) > LONGEST_WHOLE:
        return float(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(number)


class SentJSON(_JSON):
    """JSON that others sent. In migrations it is Django's own field: the column is the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "decoder": Numbers})

    def validate(self, value: Any, model_instance: Any) -> None:
        """Python's own JSON takes NaN, halves of characters and any depth: with one of them no list could be told."""
        super().validate(value, model_instance)
        try:
            json.dumps(value, allow_nan=False)
            orjson.dumps([[[[[[[[value]]]]]]]])  # as deep as it stands in an answer
        except (TypeError, ValueError) as error:
            raise ValidationError(f"This can't be sent as JSON: {error}.", code="invalid") from error

    def deconstruct(self) -> tuple[Any, ...]:
        name, _, args, kwargs = super().deconstruct()
        kwargs.pop("decoder")
        return name, "django.db.models.JSONField", args, kwargs
