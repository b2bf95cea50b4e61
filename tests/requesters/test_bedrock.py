"""Who is called where and as whom, and which models there are."""

import json

import pytest

from providers.requesters.base import Endpoint
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from providers.requesters.errors import AuthFailed, BadRequest, Unavailable
from tests.fakes.aws import CLAUDE, KEY_ID, NOVA, PROFILE, SECRET, FakeAws
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT
from tests.requesters.test_bedrock_request import bedrock, body, fake, server, with_config

__all__ = ["bedrock", "fake", "server"]  # fixtures


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (CLAUDE, "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (
            PROFILE,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2c3d4e5f6/converse",
        ),
    ],
)
def test_the_model_is_one_segment_of_the_path(bedrock: BedrockRequester, fake: FakeAws, model: str, path: str) -> None:
    bedrock.chat(body(model=model))
    list(bedrock.stream(body(model=model)))
    assert [seen.path for seen in fake.seen] == [path, f"{path}-stream"]
    assert fake.violations == []


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-west-1", "eu-west-1.amazonaws.com"), ("cn-north-1", "cn-north-1.amazonaws.com.cn")],
)
def test_addresses_follow_from_the_region(transport: Transport, region: str, host: str) -> None:
    bedrock = BedrockRequester(Endpoint("", "a:b", config={"region": region}), transport)
    assert bedrock.url("chat", body(model="m")) == f"https://bedrock-runtime.{host}/model/m/converse"
    assert bedrock.url("models", {}) == f"https://bedrock.{host}/foundation-models"


def test_a_region_s_own_address_still_lists_its_models_at_the_other_host(transport: Transport) -> None:
    [endpoint] = BedrockRequester.spread(Endpoint("", "a:b", config={"regions": "eu-west-1"}))
    bedrock = BedrockRequester(endpoint, transport)
    assert bedrock.url("chat", body(model="m")) == f"{endpoint.base_url}/model/m/converse"
    assert bedrock.url("models", {}) == "https://bedrock.eu-west-1.amazonaws.com/foundation-models"


def test_a_region_must_look_like_one(transport: Transport) -> None:
    [endpoint] = BedrockRequester.spread(Endpoint("", "a:b", config={"regions": ["evil.example/"]}))
    bedrock = BedrockRequester(endpoint, transport)
    with pytest.raises(Unavailable, match="has not the form of one"):
        bedrock.chat(body())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["us-east-1"]),
        ({"regions": []}, ["us-east-1"]),
        ({"regions": ["eu-west-1", "us-west-2"]}, ["eu-west-1", "us-west-2"]),
        ({"regions": "eu-west-1, us-west-2,"}, ["eu-west-1", "us-west-2"]),
        ({"region": "eu-west-1"}, ["eu-west-1"]),
    ],
)
def test_one_endpoint_for_each_region(given: JSON, expected: list[str]) -> None:
    spread = BedrockRequester.spread(Endpoint("", "k", config=given))
    assert [endpoint.config["region"] for endpoint in spread] == expected
    addresses = [f"https://bedrock-runtime.{region}.amazonaws.com" for region in expected]
    assert [endpoint.base_url for endpoint in spread] == addresses
    at_home = Endpoint("http://10.0.0.1", "k", config=given)
    assert BedrockRequester.spread(at_home) == [at_home]


def test_another_region_signs_for_itself(fake: FakeAws, transport: Transport) -> None:
    with_config(fake, transport, regions=["eu-west-1"]).chat(body())
    assert "/eu-west-1/bedrock/aws4_request" in fake.seen[-1].headers["Authorization"]
    assert fake.violations == []


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY_ID}:{SECRET}:session/token+1",
        json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET, "session_token": "session/token+1"}),
        json.dumps({"accessKeyId": KEY_ID, "secretAccessKey": SECRET, "sessionToken": "session/token+1"}),
    ],
)
def test_temporary_keys(transport: Transport, key: str) -> None:
    with FakeAws(f"{KEY_ID}:{SECRET}:session/token+1") as fake:
        BedrockRequester(Endpoint(fake.base_url, key, PATIENT), transport).chat(body())
        assert fake.violations == []
        with pytest.raises(AuthFailed):
            BedrockRequester(Endpoint(fake.base_url, f"{KEY_ID}:{SECRET}", PATIENT), transport).chat(body())


def test_a_bedrock_api_key_is_shown_as_it_is(transport: Transport) -> None:
    with FakeAws("bedrock-api-key-abc") as fake:
        bedrock = BedrockRequester(Endpoint(fake.base_url, fake.key, PATIENT), transport)
        bedrock.chat(body())
        assert fake.seen[-1].headers["Authorization"] == "Bearer bedrock-api-key-abc"
        assert "X-Amz-Date" not in fake.seen[-1].headers
        assert len(bedrock.list_models()) == 4
        assert fake.violations == []


@pytest.mark.parametrize("key", ["", KEY_ID, f"{KEY_ID}:", f":{SECRET}", '{"access_key_id": "x"}', "{"])
def test_half_a_key_is_told_before_anything_is_sent(fake: FakeAws, transport: Transport, key: str) -> None:
    bedrock = BedrockRequester(Endpoint(fake.base_url, key, PATIENT), transport)
    with pytest.raises(AuthFailed, match="ACCESS_KEY_ID:SECRET_ACCESS_KEY") as caught:
        bedrock.chat(body())
    assert SECRET not in str(caught.value)
    assert fake.seen == []


def test_a_wrong_secret_is_refused_without_being_told(fake: FakeAws, transport: Transport) -> None:
    bedrock = BedrockRequester(Endpoint(fake.base_url, f"{KEY_ID}:wrong-secret", PATIENT), transport)
    with pytest.raises(AuthFailed) as caught:
        bedrock.chat(body())
    assert "wrong-secret" not in str(caught.value) and KEY_ID not in str(caught.value)


def test_the_vendor_s_words_never_hold_a_part_of_the_key(fake: FakeAws, transport: Transport) -> None:
    key = json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET})
    bedrock = BedrockRequester(Endpoint(fake.base_url, key, PATIENT), transport)
    fake.reply_json("mine", {"message": f"odd: {KEY_ID} and {SECRET}"}, 400)
    with pytest.raises(BadRequest, match=r"odd: \*\*\* and \*\*\*"):
        bedrock.chat(body(model="mine"))


def test_the_list_of_models_keeps_what_aws_says_of_them(bedrock: BedrockRequester, fake: FakeAws) -> None:
    models = bedrock.list_models()
    assert [model.id for model in models][:2] == [CLAUDE, NOVA]
    assert models[0].label
    assert models[0].raw["outputModalities"] == ["TEXT"]
    assert fake.violations == []
