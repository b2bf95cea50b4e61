"""Random conversations: each valid one becomes a body that the strict grammar accepts, and each stream, put together
again, is the whole answer. The seeds are fixed, so a failure can be run again by its number."""

from random import Random
from typing import Any

import pytest

from providers.requesters.gemini import GeminiRequester
from tests.fakes.gemini import FakeGemini
from tests.fakes.server import JSON
from tests.requesters.test_gemini_request import PNG, SAFETY, TOOLS, assistant, call, fake, gemini, result, server, user

__all__ = ["fake", "gemini", "server"]  # fixtures

WORDS = ("", "a", "use tool", "Grüße\n", '{"json": true}', "[1]", " ", "\u2028", "😀" * 3)
ROUNDS = 150


def text(random: Random) -> str:
    return random.choice(WORDS)


def content(random: Random, *, has_files: bool) -> Any:
    if random.random() < 0.5:
        return text(random)
    makers = (
        lambda: {"type": "text", "text": text(random)},
        lambda: {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        lambda: {"type": "input_audio", "input_audio": {"data": "AAAA", "format": random.choice(("wav", "mp3"))}},
        lambda: {"type": "file", "file": {"filename": "x", "file_data": "data:text/plain;charset=utf-8;base64,eA=="}},
    )
    return [random.choice(makers if has_files else makers[:-1])() for _ in range(random.randint(1, 3))]


def turn(random: Random, number: int, *, has_files: bool) -> list[JSON]:
    """A user's message and what follows from it, in OpenAI's order: calls are answered, in any order."""
    messages = [user(content(random, has_files=has_files)) for _ in range(random.randint(1, 2))]
    if random.random() < 0.2:
        messages.insert(0, {"role": random.choice(("system", "developer")), "content": text(random)})
    for step in range(random.randint(0, 2)):
        ids = [f"c{number}_{step}_{index}" for index in range(random.randint(1, 3))]
        signature = random.choice(("", "c2ln"))
        calls = [
            call(
                each,
                random.choice(("find", "count")),
                "" if index else signature,
                random.choice(("{}", "", '{"a": [1]}')),
            )
            for index, each in enumerate(ids)
        ]
        messages.append(assistant(*calls, content=random.choice((None, text(random)))))
        random.shuffle(ids)
        messages += [result(each, content(random, has_files=has_files)) for each in ids]
    return [*messages, assistant(content=text(random) or "said", reasoning_content="hm")]


def conversation(random: Random, *, has_files: bool = True) -> JSON:
    """`has_files`: not every vendor takes documents."""
    messages = [user("begin")] + [
        message for number in range(random.randint(1, 3)) for message in turn(random, number, has_files=has_files)
    ]
    options: JSON = {
        "temperature": random.choice((0, 0.7, 2, None)),
        "top_p": random.choice((0.1, 1)),
        "max_tokens": random.choice((1, 100, 4000)),
        "stop": random.choice(("x", ["x", "y"], None, "")),
        "n": random.choice((1, 2, None)),
        "seed": random.randint(0, 2**31 - 1),
        "reasoning_effort": random.choice((None, "none", "minimal", "low", "medium", "high", "xhigh")),
        "tools": TOOLS,
        "tool_choice": random.choice(
            (None, "auto", "none", "required", {"type": "function", "function": {"name": "find"}})
        ),
        "response_format": random.choice((None, {"type": "text"}, {"type": "json_object"})),
        "safetySettings": random.choice((None, SAFETY)),
        "user": "somebody",
    }
    chosen = {name: value for name, value in options.items() if name == "tools" or random.random() < 0.5}
    models = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "gemini-3-pro-preview", "gemini-3-flash")
    return {"model": random.choice(models), "messages": [*messages, *ending(random)], **chosen}


def ending(random: Random) -> list[JSON]:
    """The turn that is to be answered: a question, or the results of calls that one led to."""
    if random.random() < 0.5:
        return [user(random.choice(("use tool", "end")))]
    signature = random.choice(("", "c2ln"))
    return [user("go"), assistant(call("y", signature=signature), call("z")), result("z", "2"), result("y", "1")]


def put_together(events: list[JSON]) -> tuple[dict[int, JSON], Any]:
    """What an OpenAI client makes of the chunks: each choice's message and reason, and the usage."""
    choices: dict[int, JSON] = {}
    for chunk in (choice for event in events for choice in event["choices"]):
        choice = choices.setdefault(
            chunk["index"], {"content": "", "reasoning": "", "calls": [], "extra": {}, "reason": None}
        )
        delta = chunk["delta"]
        choice["content"] += delta.get("content") or ""
        choice["reasoning"] += delta.get("reasoning_content") or ""
        choice["extra"] |= delta.get("extra_content") or {}
        choice["reason"] = chunk["finish_reason"] or choice["reason"]
        for part in delta.get("tool_calls") or []:
            assert part.pop("index") == len(choice["calls"])
            choice["calls"].append(part)
    return choices, events[-1].get("usage")


def in_one_piece(answer: JSON) -> tuple[dict[int, JSON], Any]:
    choices = {
        choice["index"]: {
            "content": choice["message"]["content"] or "",
            "reasoning": choice["message"].get("reasoning_content", ""),
            "calls": choice["message"].get("tool_calls", []),
            "extra": choice["message"].get("extra_content", {}),
            "reason": choice["finish_reason"],
        }
        for choice in answer["choices"]
    }
    return choices, answer["usage"]


@pytest.mark.parametrize("seed", range(4))
def test_random_conversations_are_accepted_and_their_streams_are_the_whole_answer(
    gemini: GeminiRequester, fake: FakeGemini, seed: int
) -> None:
    random = Random(seed)
    for number in range(ROUNDS):
        asked = conversation(random)
        whole = gemini.chat(asked).json
        events = [event.json for event in gemini.stream(asked)]
        assert fake.violations == [], f"seed {seed}, round {number}"
        assert put_together(events) == in_one_piece(whole), f"seed {seed}, round {number}"
