"""The official OpenAI SDK with a key of BRConnector's kind, where refusals keep their true status."""

import json
from collections.abc import Iterator

import openai
import pytest
import requests

from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway

HELLO = [{"role": "user", "content": "hi"}]
LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def served(fake: FakeOpenAI) -> Iterator[ServedGateway]:
    with ServedGateway(TRUE_STATUS_CODES="true") as gateway:
        for model in ("echo", "401", "429", "500"):
            gateway.add_upstream(fake, model)
        yield gateway
        assert gateway.audit() == "The ledger is whole."


@pytest.fixture(scope="module")
def secret(served: ServedGateway) -> str:
    return issue(served, all_models=True)


def issue(served: ServedGateway, **fields: object) -> str:
    """A key as the dialect's own paths make it."""
    code = (
        "from accounts.services import keys; from decimal import Decimal; "
        f"print(keys.issue(name='jack', start='br-', length=29, **{fields!r}).secret)"
    )
    return served.manage("shell", "-v0", "-c", code).stdout.strip()


@pytest.fixture
def sdk(served: ServedGateway, secret: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=0, timeout=20) as client:
        yield client


def test_the_key_has_its_form(secret: str) -> None:
    assert secret.startswith("br-") and len(secret) == 32


def test_chat(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="echo", messages=HELLO)
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.usage is not None


def test_stream(sdk: openai.OpenAI) -> None:
    chunks = list(sdk.chat.completions.create(model="echo", messages=HELLO, stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices).startswith("tok0 tok1")
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_tools(sdk: openai.OpenAI) -> None:
    asked = [{"role": "user", "content": "use tool"}]
    with sdk.chat.completions.stream(model="echo", messages=asked, tools=[LOOK]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None and message.tool_calls[0].function.name == "look"


def test_a_document_and_a_budget_of_thought(sdk: openai.OpenAI, fake: FakeOpenAI) -> None:
    doc = {"name": "a", "format": "txt", "size": 2, "source": {"bytes": {"0": 104, "1": 105}}}
    content = [{"type": "text", "text": "read"}, {"type": "doc", "doc": doc}]
    messages = [{"role": "user", "content": content}]
    answer = sdk.chat.completions.create(model="echo", messages=messages, extra_headers={"Think-Budget": "2000"})
    assert answer.choices[0].message.content
    sent = fake.seen[-1].body
    assert sent["messages"][0]["content"][1]["file"]["file_data"] == "data:text/plain;base64,aGk="
    assert sent["thinking"]["budget_tokens"] == 2000


def test_models_say_what_they_take(sdk: openai.OpenAI) -> None:
    assert {model.id: getattr(model, "multiple", None) for model in sdk.models.list()}["echo"] is False


def test_a_text_completion_of_messages(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model="echo", prompt=None, extra_body={"messages": HELLO})
    assert (answer.object, answer.choices[0].text.split()[0]) == ("text_completion", "tok0")


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("nothing", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("401", openai.InternalServerError),
        ("500", openai.InternalServerError),
    ],
)
def test_errors_are_the_sdk_s_own(sdk: openai.OpenAI, model: str, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(model=model, messages=HELLO)
    assert caught.value.request_id is not None


def test_refusals_are_the_sdk_s_own(served: ServedGateway) -> None:
    refused = {
        "br-wrong": (openai.AuthenticationError, "Your key does not exist."),
        issue(served): (openai.PermissionDeniedError, "You do not have permission to access the [echo] model"),
        issue(served, all_models=True, month_quota=0): (openai.RateLimitError, "Please recharge."),
    }
    for secret, (error, text) in refused.items():
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=5)
        with client, pytest.raises(error) as caught:
            client.chat.completions.create(model="echo", messages=HELLO)
        assert text in caught.value.message
        content = json.loads(caught.value.response.text)
        assert content["success"] is False and content["data"].startswith(text)


def test_the_session_has_a_title_and_its_owner_sees_it(served: ServedGateway) -> None:
    secret = issue(served, all_models=True)
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret) as sdk:
        sdk.chat.completions.create(model="echo", messages=HELLO, extra_headers={"Session-Id": "sdk"})
    headers = {"Authorization": f"Bearer {secret}"}
    [session] = requests.get(f"{served.url}/user/session/list", headers=headers, timeout=20).json()["data"]["items"]
    assert (session["key"], session["title"]) == ("sdk", "tok0 tok1 tok2 tok3 tok4 tok5")
