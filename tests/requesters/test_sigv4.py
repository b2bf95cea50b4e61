"""Signatures held against botocore's, and what a key's text may look like."""

import json
from datetime import UTC, datetime
from itertools import product
from random import Random

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from providers.requesters import aws_credentials, sigv4
from providers.requesters.aws_credentials import Credentials
from providers.requesters.errors import AuthFailed

KEY_ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE+/=="
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
PROFILE = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2c3"
URLS = (
    f"{HOST}/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
    f"{HOST}/model/{PROFILE}/converse",
    f"{HOST}:443/foundation-models?byOutputModality=TEXT&byInferenceType=ON_DEMAND",
    f"{HOST}:8443/foundation-models?b=2&a=%20x&b=1&empty",
    "http://127.0.0.1:8080/endpoints/my-endpoint/invocations",
    "http://localhost:80/",
    "https://api.sagemaker.eu-central-1.amazonaws.com",
)
BODIES = (b"", b"{}", '{"text": "Grüße"}'.encode(), bytes(range(256)))


def reference(
    method: str, url: str, headers: dict[str, str], body: bytes, credentials: Credentials, place: sigv4.Place
) -> str:
    """botocore's Authorization for the same request."""
    boto = BotoCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None)
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(boto, place.service, place.region)
    if credentials.session_token:
        request.headers["X-Amz-Security-Token"] = credentials.session_token
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    scope = signer.scope(request)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signer.signature(text, request)}"


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("service", ["bedrock", "sagemaker"])
def test_signatures_are_botocore_s(url: str, token: str, service: str) -> None:
    credentials = Credentials(KEY_ID, SECRET, token)
    for method, body, region in product(("GET", "POST"), BODIES, ("us-east-1", "cn-north-1")):
        headers = {"Content-Type": "application/json", "X-Amz-Target": " A   b "}
        place = sigv4.Place(region, service)
        signed = sigv4.sign(method, url, headers, body, credentials, place, NOW)
        assert signed["Authorization"] == reference(method, url, headers, body, credentials, place)


def test_random_paths_and_queries_are_signed_as_botocore_does() -> None:
    random = Random(3)
    credentials, place = Credentials(KEY_ID, SECRET), sigv4.Place("eu-west-1", "bedrock")
    letters = ("a", "Z", "9", "-", "_", "~", "%3A", "%2F", "%25", "%20", "+", "(", "*", "!", "@", ",", ":")
    for _ in range(300):
        words = ["".join(random.choice(letters) for _ in range(random.randint(1, 12))) for _ in range(4)]
        url = f"{HOST}/model/{words[0]}/{words[1]}?{words[2]}=x&{words[3]}"
        signed = sigv4.sign("POST", url, {}, b"{}", credentials, place, NOW)
        assert signed["Authorization"] == reference("POST", url, {}, b"{}", credentials, place), url


def test_what_proxies_change_is_not_covered() -> None:
    headers = {"User-Agent": "x", "Accept": "*/*", "X-Amzn-Trace-Id": "1", "Content-Type": "application/json"}
    signed = sigv4.sign("POST", URLS[0], headers, b"", Credentials(KEY_ID, SECRET), sigv4.Place("a", "b"))
    assert "SignedHeaders=content-type;host;x-amz-date, " in signed["Authorization"]
    assert headers.items() <= signed.items()


def test_the_clock_is_the_machine_s_in_utc() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    signed = sigv4.sign("GET", URLS[0], {}, b"", Credentials(KEY_ID, SECRET), sigv4.Place("a", "b"))
    stamp = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert before <= stamp <= datetime.now(UTC)


# Keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{KEY_ID}:{SECRET}", Credentials(KEY_ID, SECRET)),
        (f" {KEY_ID}:{SECRET}:{TOKEN}\n", Credentials(KEY_ID, SECRET, TOKEN)),
        (json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET}), Credentials(KEY_ID, SECRET)),
        (
            json.dumps({"accessKeyId": KEY_ID, "secretAccessKey": SECRET, "sessionToken": TOKEN}),
            Credentials(KEY_ID, SECRET, TOKEN),
        ),
        ("ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl=", Credentials(bearer_token="ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl=")),
        ("bedrock-api-key-YmVkcm9jaw==", Credentials(bearer_token="bedrock-api-key-YmVkcm9jaw==")),
    ],
)
def test_a_key_s_forms(text: str, expected: Credentials) -> None:
    assert aws_credentials.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY_ID,
        f"{KEY_ID}:",
        f":{SECRET}",
        f"{KEY_ID}:{SECRET}:",
        "{not json",
        "{}",
        json.dumps({"access_key_id": KEY_ID}),
        json.dumps({"access_key_id": KEY_ID, "secret_access_key": 5}),
        f"{KEY_ID}:sec ret",
        "bedrock-api-key-ü",
    ],
)
def test_half_a_key_is_said_and_never_quoted(text: str) -> None:
    with pytest.raises(AuthFailed) as caught:
        aws_credentials.parse(text)
    assert "AWS key" in caught.value.message
    assert not [part for part in (KEY_ID, SECRET, "sec ret") if part in caught.value.message]


def test_all_parts_are_secrets_and_no_repr_shows_them() -> None:
    assert set(aws_credentials.secrets(f"{KEY_ID}:{SECRET}:{TOKEN}")) == {KEY_ID, SECRET, TOKEN}
    assert aws_credentials.secrets(f"{KEY_ID}:") == [KEY_ID]
    shown = repr(Credentials(KEY_ID, SECRET, TOKEN, "bearer-token"))
    assert not [part for part in (KEY_ID, SECRET, TOKEN, "bearer-token") if part in shown]
