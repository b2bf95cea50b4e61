"""Where reranking lives when it is not at {base URL}/rerank: Bailian has it under a path of its own, for one.

A model's extra arguments say so: `rerank_url`, a whole URL, or `rerank_path`, from the base URL on. They are read here
and go no further.
"""

from typing import Any

from providers.requesters.connections import parse_target
from providers.requesters.errors import BadRequest, EgressRefused

URL, PATH = "rerank_url", "rerank_path"
# The operator's, in a model's extra arguments. To be kept out of callers' bodies: the provider's key goes there.
OPERATORS_ONLY = frozenset({URL, PATH})


def address(base_url: str, default_path: str, body: dict[str, Any]) -> str:
    """The whole URL. Raises BadRequest."""
    url, path = _text(body, URL), _text(body, PATH) or default_path
    if not url:
        return f"{base_url.rstrip('/')}/{path.lstrip('/')}"
    if _origin(url) != _origin(base_url):
        raise BadRequest("rerank_url must begin as the provider's base URL does: its key is sent there", param=URL)
    return url


def without_address(body: dict[str, Any]) -> dict[str, Any]:
    if not OPERATORS_ONLY & body.keys():
        return body
    return {name: body[name] for name in body if name not in OPERATORS_ONLY}


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a text", param=name)
    return value


def _origin(url: str) -> tuple[str, str, int]:
    """As the transport reads it, so that no spelling means one host here and another there."""
    try:
        target = parse_target(url)
    except EgressRefused as error:
        raise BadRequest(error.message, param=URL) from error
    return target.scheme, target.host, target.port
