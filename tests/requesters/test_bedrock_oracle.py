"""botocore, AWS's own client, and our requester ask the same fake: what the one is sent and told, so is the other."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from providers.requesters.base import Endpoint
from providers.requesters.bedrock import BedrockRequester
from providers.requesters.egress import Transport
from providers.requesters.errors import RateLimited
from tests.fakes.aws import CLAUDE, KEY_ID, PROFILE, SECRET, FakeAws
from tests.fakes.server import JSON
from tests.requesters.conftest import PATIENT

ASKED: JSON = {
    "messages": [{"role": "user", "content": "use tool"}],
    "tools": [{"type": "function", "function": {"name": "find", "description": "Finds."}}],
    "max_tokens": 3000,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    with FakeAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def boto(fake: FakeAws) -> Any:
    return botocore.session.Session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=fake.origin,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def bedrock(fake: FakeAws, transport: Transport) -> BedrockRequester:
    fake.forget()
    return BedrockRequester(Endpoint(fake.base_url, fake.key, PATIENT), transport)


@pytest.mark.parametrize("model", [CLAUDE, PROFILE.replace("application-inference-profile", "inference-profile")])
def test_the_client_of_aws_sends_our_body_to_the_same_place(
    fake: FakeAws, boto: Any, bedrock: BedrockRequester, model: str
) -> None:
    asked = {"model": model, **ASKED}
    ours = bedrock.chat(asked).json
    theirs = boto.converse(modelId=model, **bedrock.build("chat", asked))
    assert fake.violations == []
    assert fake.seen[0].path == fake.seen[1].path
    assert fake.seen[0].body == fake.seen[1].body
    texts = [block["text"] for block in theirs["output"]["message"]["content"] if "text" in block]
    assert ours["choices"][0]["message"]["content"] == "".join(texts)
    assert ours["usage"]["total_tokens"] == theirs["usage"]["totalTokens"]


def test_the_client_of_aws_reads_the_same_stream(fake: FakeAws, boto: Any, bedrock: BedrockRequester) -> None:
    asked = {"model": CLAUDE, **ASKED}
    ours = [event.json for event in bedrock.stream(asked)]
    answer = boto.converse_stream(modelId=CLAUDE, **bedrock.build("chat", asked))
    deltas = [event["contentBlockDelta"]["delta"] for event in answer["stream"] if "contentBlockDelta" in event]
    assert fake.violations == []
    assert fake.seen[0].path == fake.seen[1].path
    choices = [choice["delta"] for event in ours for choice in event["choices"]]
    assert "".join(each.get("content") or "" for each in choices) == "".join(each.get("text", "") for each in deltas)
    arguments = [call["function"]["arguments"] for each in choices for call in each.get("tool_calls", [])]
    assert "".join(arguments) == "".join(each["toolUse"]["input"] for each in deltas if "toolUse" in each)
    assert "".join(arguments)


def test_the_client_of_aws_is_refused_by_the_same_name(boto: Any, bedrock: BedrockRequester) -> None:
    with pytest.raises(ClientError) as theirs:
        boto.converse(modelId="throttled", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    with pytest.raises(RateLimited) as ours:
        bedrock.chat({"model": "throttled", **ASKED})
    assert theirs.value.response["Error"]["Code"] == ours.value.upstream_code == "ThrottlingException"
    assert theirs.value.response["Error"]["Message"] == ours.value.message
