"""Signatures as www.standardwebhooks.com says: its receiver can tell who sent a message, and that it is new."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime

START = "whsec_"
LEAST_BYTES = 16


def key_bytes(secret: str) -> bytes | None:
    """What a secret stands for. None: it is no secret of that form, or too short."""
    try:
        key = base64.b64decode(secret.removeprefix(START), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= LEAST_BYTES else None


def signature(key: bytes, id: str, timestamp: str, content: bytes) -> str:
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + content, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def signed(key: bytes, id: str, content: bytes, now: datetime) -> Mapping[str, str]:
    """The headers of a message. Its `id` is the same however often it is sent, so that its receiver can tell."""
    timestamp = str(int(now.timestamp()))
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(key, id, timestamp, content),
    }
