"""AWS Signature Version 4 in the headers of a request.

Facts from docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html; the tests hold it against
botocore.auth.SigV4Auth.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from providers.requesters.aws_credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_PORTS = {"http": 80, "https": 443}
# Rewritten by proxies on the way, so a signature must not cover it.
UNSIGNED = frozenset({"x-amzn-trace-id"})


class Place(NamedTuple):
    """Where a signature is good."""

    region: str
    service: str


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    place: Place,
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers with the signature's own added. `url` is as it is sent, percent-encoded."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    added = {"X-Amz-Date": stamp}
    if credentials.session_token:
        added["X-Amz-Security-Token"] = credentials.session_token
    covered = _covered({**headers, **added}, _host(parts))
    scope = f"{stamp[:8]}/{place.region}/{place.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, _hash(_canonical(method, parts, covered, body).encode())))
    signature = hmac.new(_key(credentials, stamp[:8], place), to_sign.encode(), sha256).hexdigest()
    fields = (
        f"Credential={credentials.access_key_id}/{scope}",
        f"SignedHeaders={';'.join(covered)}",
        f"Signature={signature}",
    )
    return {**headers, **added, "Authorization": f"{ALGORITHM} {', '.join(fields)}"}


def _covered(headers: Mapping[str, str], host: str) -> dict[str, str]:
    """The headers that the rules want signed, in their canonical form and order."""
    lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()} | {"host": host}
    wanted = {name for name in lowered if name in ("host", "content-type") or name.startswith("x-amz")}
    return {name: lowered[name] for name in sorted(wanted - UNSIGNED)}


def _host(parts: SplitResult) -> str:
    """As the Host header will say it: without the port that the scheme implies anyway."""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(f":{parts.port}") if parts.port == DEFAULT_PORTS.get(parts.scheme) else host


def _canonical(method: str, parts: SplitResult, covered: Mapping[str, str], body: bytes) -> str:
    lines = "".join(f"{name}:{value}\n" for name, value in covered.items())
    # The path arrives encoded and is encoded once more: every service but S3 has it so.
    path = quote(parts.path or "/", safe="/-_.~")
    return "\n".join((method, path, _query(parts.query), lines, ";".join(covered), _hash(body)))


def _query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
    return "&".join(f"{name}={value}" for name, value in pairs)


def _key(credentials: Credentials, day: str, place: Place) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, *place, "aws4_request"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()
