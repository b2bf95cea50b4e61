"""Feishu's events as they come: perhaps encrypted, perhaps signed, in one of two forms."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from chat.errors import Forged, Malformed
from chat.services.bots.platform import key_in, parse_object, text_in

JSON = dict[str, Any]

IV_BYTES = 16
BLOCK_BITS = 128
OLDEST_SECONDS = 8 * 3600  # the platform sends an event again for 7.1 hours; what was answered is remembered as long
LONGEST_TIME = 20
CANT_OPEN = "The body can't be decrypted."


@dataclass(frozen=True, slots=True)
class Event:
    key: str
    type: str
    body: JSON


def opened(body: JSON, key: str) -> JSON:
    """The body in clear. With a key, what is not encrypted does not come from the platform. Raises EventRefused."""
    if not key:
        if "encrypt" in body:
            raise Malformed("The body is encrypted, and this bot has no encryptKey.")
        return body
    if "encrypt" not in body:
        raise Forged("The body is not encrypted, though this bot has an encryptKey.")
    return parse_object(_decrypted(text_in(body, "encrypt", most=30_000_000), key))


def _decrypted(text: str, key: str) -> bytes:
    """AES-256-CBC; whatever is wrong with it is told in the same words."""
    try:
        data = base64.b64decode(text, validate=True)
        cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(data[:IV_BYTES]))
        decryptor, unpadder = cipher.decryptor(), padding.PKCS7(BLOCK_BITS).unpadder()
        padded = decryptor.update(data[IV_BYTES:]) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, binascii.Error):
        raise Malformed(CANT_OPEN) from None


def signature(timestamp: str, nonce: str, key: str, raw: bytes) -> str:
    return hashlib.sha256(f"{timestamp}{nonce}{key}".encode() + raw).hexdigest()


def head_of(body: JSON) -> JSON:
    """Where the newer form has its token, and the older one as well."""
    header = body.get("header")
    return header if isinstance(header, dict) else body


def event_of(body: JSON, *, app_id: str, now: float) -> Event:
    """Of version 2, or of version 1, which has no header. Raises EventRefused."""
    event = body.get("event")
    if not isinstance(event, dict):
        raise Malformed("event must be an object.")
    if body.get("schema") != "2.0":
        return Event(key_in(body, "uuid"), text_in(event, "type"), event)
    if text_in(body, "header", "app_id", is_optional=True) not in ("", app_id):
        raise Forged("The event is another app's.")
    _check_age(text_in(body, "header", "create_time", is_optional=True, most=LONGEST_TIME), now)
    return Event(key_in(body, "header", "event_id"), text_in(body, "header", "event_type"), event)


def _check_age(milliseconds: str, now: float) -> None:
    """One so old is not remembered any more, should it have been answered."""
    if milliseconds.isascii() and milliseconds.isdecimal() and int(milliseconds) / 1000 < now - OLDEST_SECONDS:
        raise Forged("The event is too old.")
