"""Every refusal in OpenAI's shape, and nothing changed by any of them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.models import ApiKey, Charge
from accounts.services import keys
from accounts.services.ledger.audit import audit
from tests import factories
from tests.gateway.openai.conftest import Api, last_charge


def error_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


def test_no_key(api: Api) -> None:
    answer = api.client.post("/v1/chat/completions", {}, content_type="application/json")
    assert error_of(answer, 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("authorization", ["Basic abc", "Bearer", "Bearer ", "wb-plain", "bearer nonsense"])
def test_a_wrong_authorization(api: Api, authorization: str) -> None:
    answer = api.client.get("/v1/models", headers={"authorization": authorization})
    assert error_of(answer, 401)["code"] == "invalid_api_key"


def test_x_api_key_decides_alone(api: Api) -> None:
    good, bad = api.alice.secret, "wb-wrong"
    assert api.client.get("/v1/models", headers={"x-api-key": good}).status_code == 200
    both = {"x-api-key": bad, "authorization": f"Bearer {good}"}
    assert error_of(api.client.get("/v1/models", headers=both), 401)["code"] == "invalid_api_key"


def test_a_revoked_key_is_refused_though_the_process_remembers_it(api: Api) -> None:
    assert api.chat().status_code == 200
    ApiKey.objects.filter(pk=api.alice.key.pk).update(is_active=False)
    error = error_of(api.chat(), 401)
    assert (error["code"], "revoked" in error["message"]) == ("invalid_api_key", True)
    assert error_of(api.get("models"), 401)["code"] == "invalid_api_key"


def test_an_expired_key(api: Api) -> None:
    assert api.chat().status_code == 200
    ApiKey.objects.filter(pk=api.alice.key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in error_of(api.chat(), 401)["message"]


def test_a_drained_key_is_told_not_to_retry_and_the_upstream_hears_nothing(api: Api) -> None:
    poor = factories.key(month_quota=Decimal(0))
    answer = api.chat(secret=poor.secret)
    assert error_of(answer, 429)["type"] == "insufficient_quota"
    assert answer["x-should-retry"] == "false"
    assert api.upstream.seen == []
    assert Charge.objects.count() == 0


def test_an_unknown_model(api: Api) -> None:
    error = error_of(api.chat("nothing"), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_an_ungranted_model_looks_like_an_unknown_one(api: Api) -> None:
    stranger = factories.key(all_models=False)
    error = error_of(api.chat(secret=stranger.secret), 404)
    assert error["code"] == "model_not_found"
    assert api.get("models", stranger.secret).json()["data"] == []


def test_a_model_of_another_kind(api: Api) -> None:
    assert error_of(api.chat("vectors"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "echo"}, "messages"),
        ({"model": 5, "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "echo", "messages": "hi"}, "messages"),
        ({"model": "echo", "messages": []}, "messages"),
        ({"model": "echo", "messages": ["hi"]}, "messages[0]"),
        ({"model": "echo", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"model": "echo", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "echo", "messages": [{"role": "user", "content": [5]}]}, "messages[0].content"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}, "stream"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": -1}, "max_tokens"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": "9"}, "max_tokens"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": True}, "max_tokens"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "n": 1000}, "n"),
        ({"model": "echo", "messages": [{"role": "user", "content": "x"}], "stream_options": 1}, "stream_options"),
    ],
)
def test_a_wrong_field_is_named(api: Api, body: Any, param: str) -> None:
    error = error_of(api.post("chat/completions", body), 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert Charge.objects.count() == 0


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 5000]
)
def test_a_body_that_is_no_json_object(api: Api, raw: bytes) -> None:
    assert error_of(api.post("chat/completions", raw), 400)["type"] == "invalid_request_error"


@override_settings(MAX_BODY_BYTES=1000)
def test_a_body_that_is_too_large(api: Api) -> None:
    assert error_of(api.chat(padding="x" * 2000), 413)["code"] == "request_too_large"
    assert api.upstream.seen == []


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("401", 502, "upstream_auth_failed"),
        ("404", 502, "upstream_model_not_found"),
        ("429", 429, "rate_limit_exceeded"),
        ("500", 502, "upstream_unavailable"),
        ("503", 503, "upstream_overloaded"),
        ("garbage", 502, "upstream_bad_answer"),
        ("html", 502, "upstream_bad_answer"),
        ("cut-body", 502, "upstream_bad_answer"),
    ],
)
def test_an_upstreams_fault_is_told_and_costs_nothing(api: Api, model: str, status: int, code: str) -> None:
    error = error_of(api.chat(model), status)
    assert error["code"] == code
    assert api.upstream.key not in error["message"]
    charge = last_charge()
    assert (charge.state, charge.outcome, charge.fee) == ("released", "upstream_error", 0)
    assert charge.error
    assert audit() == []


def test_the_upstreams_words_about_a_bad_request_reach_the_caller(api: Api) -> None:
    error = error_of(api.chat(temperature=3), 400)
    assert error["type"] == "invalid_request_error"
    assert "temperature" in error["message"]
    charge = last_charge()
    assert (charge.state, charge.outcome, charge.fee) == ("released", "bad_request", 0)


def test_an_upstream_that_refuses_connections(api: Api) -> None:
    factories.model(factories.provider(base_url="http://127.0.0.1:1/v1"), "gone")
    assert error_of(api.chat("gone"), 502)["code"] == "upstream_unavailable"


def test_a_provider_without_a_key(api: Api) -> None:
    factories.model(factories.provider(requester="openai-chat-completions", secret=""), "keyless")
    assert "no enabled key" in error_of(api.chat("keyless"), 502)["message"]


def test_the_metadata_address_is_never_called(api: Api) -> None:
    factories.model(factories.provider(base_url="http://169.254.169.254/v1"), "metadata")
    assert error_of(api.chat("metadata"), 502)["code"] == "egress_refused"


@pytest.mark.parametrize("path", ["nothing", "chat", "chat/completions/", ""])
def test_an_unknown_path(api: Api, path: str) -> None:
    assert error_of(api.post(path, {}), 404)["code"] == "unknown_url"


def test_a_wrong_method(api: Api) -> None:
    answer = api.get("chat/completions")
    assert error_of(answer, 405)["code"] == "method_not_allowed"
    assert answer["allow"] == "POST"


def test_nothing_secret_is_in_the_logs(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for model in ("401", "500", "nothing", "echo"):
        api.chat(model)
    assert api.upstream.key not in caplog.text
    assert api.alice.secret not in caplog.text


def test_a_second_process_key_cache_does_not_outlive_a_rights_change(api: Api) -> None:
    bob = factories.key(all_models=True)
    assert api.chat(secret=bob.secret).status_code == 200
    ApiKey.objects.filter(pk=bob.key.pk).update(all_models=False)
    assert error_of(api.chat(secret=bob.secret), 404)["code"] == "model_not_found"
    assert keys.authenticate(bob.secret).all_models is False
