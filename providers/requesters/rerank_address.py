"""Where reranking lives when it is not at {base URL}/rerank: Bailian has it under a path of its own, for one.

A model's extra arguments say so: `rerank_url`, a whole URL, or `rerank_path`, from the base URL on. They are read here
and go no further. The provider's key goes where they lead: to the base URL's own origin, or to one that the provider's
setting `allow_rerank_origin` names (a text such as https://host, or a list of such).
"""

from typing import Any

from providers.requesters.connections import parse_target
from providers.requesters.errors import EgressRefused
from providers.requesters.forms import Endpoint

URL, PATH = "rerank_url", "rerank_path"
ALLOWED = "allow_rerank_origin"
# The operator's, in a model's extra arguments. To be kept out of callers' bodies: the provider's key goes there.
OPERATORS_ONLY = frozenset({URL, PATH})


def address(endpoint: Endpoint, default_path: str, body: dict[str, Any]) -> str:
    """The whole URL. Raises EgressRefused: what is wrong with it is the operator's, and another deployment may do."""
    url, path = _text(body, URL), _text(body, PATH) or default_path
    if not url:
        return f"{endpoint.base_url.rstrip('/')}/{path.lstrip('/')}"
    if _origin(url) not in map(_origin, (endpoint.base_url, *_allowed(endpoint))):
        raise EgressRefused(f"{URL} leads away from the provider's base URL, and {ALLOWED} does not name its origin")
    return url


def without_address(body: dict[str, Any]) -> dict[str, Any]:
    if not OPERATORS_ONLY & body.keys():
        return body
    return {name: body[name] for name in body if name not in OPERATORS_ONLY}


def _allowed(endpoint: Endpoint) -> list[str]:
    named = endpoint.config.get(ALLOWED) or []
    return [str(each) for each in named] if isinstance(named, list) else [str(named)]


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise EgressRefused(f"{name} must be a text")
    return value


def _origin(url: str) -> tuple[str, str, int]:
    """As the transport reads it, so that no spelling means one host here and another there. Raises EgressRefused."""
    target = parse_target(url)
    return target.scheme, target.host, target.port
