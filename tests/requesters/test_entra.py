"""What the authority may answer instead of a token, and what Azure's filter may call itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from providers.requesters.azure import AzureRequester
from providers.requesters.base import Endpoint
from providers.requesters.egress import Transport
from providers.requesters.entra import EntraTokens, Principal
from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    BadRequest,
    ContentFiltered,
    Overloaded,
    ProviderError,
    RateLimited,
    Unavailable,
)
from tests.fakes.azure import FakeAzure
from tests.requesters.conftest import PATIENT

PRINCIPAL = Principal("tenant-0000", "client-1111", "secret~2222+/=&")


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    with FakeAzure() as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def tokens(fake: FakeAzure, transport: Transport) -> EntraTokens:
    return EntraTokens(PRINCIPAL, fake.origin, transport, PATIENT)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, AuthFailed),
        (401, AuthFailed),
        (403, AuthFailed),
        (404, AuthFailed),  # no such tenant
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Overloaded),
    ],
)
def test_what_is_wrong_with_the_authority_is_no_callers_mistake(
    tokens: EntraTokens, fake: FakeAzure, status: int, kind: type[ProviderError]
) -> None:
    fake.outage = status
    with pytest.raises(kind) as caught:
        tokens.get()
    assert type(caught.value) is kind
    assert caught.value.retryable and caught.value.upstream_status == status
    fake.outage = 0
    assert tokens.get().startswith("ey-")


@pytest.mark.parametrize(
    "pieces", [(b"<html>",), (b"[]",), (b"",), (b'{"access_token": 5}',), (b'{"access_token": ""}',)]
)
def test_an_answer_that_is_no_token(tokens: EntraTokens, fake: FakeAzure, pieces: tuple[bytes, ...]) -> None:
    fake.reply("", *pieces)  # a form names no model
    with pytest.raises(BadAnswer):
        tokens.get()


def test_only_the_token_that_was_refused_is_forgotten(tokens: EntraTokens, fake: FakeAzure) -> None:
    first = tokens.get()
    tokens.forget("ey-of-a-call-that-began-earlier")
    assert (tokens.get(), fake.issued) == (first, 1)
    tokens.forget(first)
    tokens.forget(first)
    assert tokens.get() != first and fake.issued == 2


@pytest.mark.parametrize(
    "authority",
    [
        "https://login.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn/",
        "https://LOGIN.chinacloudapi.cn:443",
    ],
)
def test_each_name_of_a_cloud_has_its_scope(transport: Transport, authority: str) -> None:
    scope = EntraTokens(PRINCIPAL, authority, transport, PATIENT).scope
    assert scope == "https://cognitiveservices.azure.cn/.default"


def test_a_tenant_can_not_lead_elsewhere(fake: FakeAzure, transport: Transport) -> None:
    odd = Principal("../../other?x=", "client-1111", "secret")
    with pytest.raises(AuthFailed):
        EntraTokens(odd, fake.origin, transport, PATIENT).get()
    assert fake.seen[-1].path == "/..%2F..%2Fother%3Fx%3D/oauth2/v2.0/token"


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        ({"code": "BadRequest", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, ContentFiltered),
        ({"code": None, "inner_error": {"code": "ResponsibleAIPolicyViolation"}}, ContentFiltered),
        ({"code": "contentFilter"}, ContentFiltered),
        ({"code": "content_policy_violation"}, ContentFiltered),
        ({"code": "moderation_blocked", "type": "image_generation_user_error"}, ContentFiltered),
        ({"code": "BadRequest", "innererror": {"code": "Other"}}, BadRequest),
        ({"code": "BadRequest", "innererror": "text"}, BadRequest),
        ({"code": "BadRequest", "innererror": [1]}, BadRequest),
        ("text", BadRequest),
    ],
)
def test_each_name_of_the_filter(fake: FakeAzure, transport: Transport, inner: Any, kind: type[ProviderError]) -> None:
    azure = AzureRequester(Endpoint(fake.origin, json.dumps({"client_secret": "s"}), PATIENT), transport)
    said = {**inner, "message": "no"} if isinstance(inner, dict) else inner
    assert type(azure.map_error(400, {"error": said}, {})) is kind
