"""What a model gets of a call that needs an ability which its row does not name."""

from typing import Any

import pytest

from chat.services.abilities import asked_of, fitted
from providers.requesters.anthropic_messages import split
from providers.requesters.listing import TOOLS, VISION
from tests.fakes.openai import check_messages

JSON = dict[str, Any]
BOTH = frozenset({VISION, TOOLS})
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
LOOK = {"role": "user", "content": [{"type": "text", "text": "Look:"}, PIXEL]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def called(*names: str, content: Any = None) -> JSON:
    calls = [
        {"id": f"call {name}", "type": "function", "function": {"name": name, "arguments": '{"city": "Rome"}'}}
        for name in names
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(name: str, content: Any = "18 degrees") -> JSON:
    return {"role": "tool", "tool_call_id": f"call {name}", "content": content}


def user(content: Any = "hi") -> JSON:
    return {"role": "user", "content": content}


def messages(*given: JSON, withholds: frozenset[str] = BOTH) -> list[JSON]:
    """What is left of them; the ones given must stay as they are."""
    before = repr(given)
    body, _ = fitted({"messages": list(given)}, withholds)
    assert repr(given) == before
    left: list[JSON] = body["messages"]
    check_messages(left)
    return left


class TestImages:
    def test_they_go_and_the_words_stay(self) -> None:
        assert messages(LOOK, user()) == [user([{"type": "text", "text": "Look:"}]), user()]

    def test_a_message_of_images_alone_becomes_an_empty_text(self) -> None:
        assert messages(user([PIXEL, PIXEL])) == [user("")]

    @pytest.mark.parametrize("kind", ["image_url", "image", "input_image"])
    def test_whatever_they_are_called(self, kind: str) -> None:
        assert messages(user([{"type": kind, kind: "x"}])) == [user("")]

    def test_other_attachments_stay(self) -> None:
        parts = [{"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}, {"type": None}]
        assert messages(user(parts)) == [user(parts)]

    def test_a_tool_s_picture_goes_too(self) -> None:
        left = messages(user(), called("look"), result("look", [PIXEL]), withholds=frozenset({VISION}))
        assert left[-1] == {**result("look"), "content": ""}

    def test_a_model_with_vision_keeps_them(self) -> None:
        assert fitted({"messages": [LOOK]}, {TOOLS}) == ({"messages": [LOOK]}, [])


class TestTools:
    def test_every_field_about_them_goes(self) -> None:
        fields = {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": True, "functions": [{}]}
        body, left_out = fitted({"messages": [user()], "seed": 1, **fields, "function_call": "auto"}, BOTH)
        assert body == {"messages": [user()], "seed": 1}
        assert left_out == [*fields, "function_call"]

    def test_what_asks_for_nothing_is_not_missed(self) -> None:
        body, left_out = fitted({"messages": [user()], "tools": [], "parallel_tool_calls": False}, BOTH)
        assert (body, left_out) == ({"messages": [user()]}, [])

    def test_a_history_of_calls_is_told_in_words(self) -> None:
        left = messages(user(), called("weather"), result("weather"), {"role": "assistant", "content": "Mild."}, user())
        assert left == [
            user(),
            {"role": "assistant", "content": '[weather was called with {"city": "Rome"}]'},
            user("[weather returned:]\n18 degrees"),
            {"role": "assistant", "content": "Mild."},
            user(),
        ]

    def test_words_beside_a_call_stay_first(self) -> None:
        [_, told] = messages(user(), called("weather", content="Let me see."))
        assert told["content"].startswith("Let me see.\n[weather was called")

    def test_results_of_one_turn_are_one_message(self) -> None:
        left = messages(user(), called("weather", "news"), result("weather"), result("news", "none"))
        assert [each["role"] for each in left] == ["user", "assistant", "user"]
        assert left[-1]["content"] == "[weather returned:]\n18 degrees\n[news returned:]\nnone"

    def test_the_older_form_too(self) -> None:
        function = {"name": "weather", "arguments": ""}
        asked = {"role": "assistant", "content": None, "function_call": function}
        left = messages(user(), asked, {"role": "function", "name": "weather", "content": "18"})
        assert [each["content"] for each in left[1:]] == ["[weather was called with {}]", "[weather returned:]\n18"]

    def test_a_result_that_nobody_asked_for_is_still_told(self) -> None:
        assert messages(result("lost"))[0] == user("[a tool returned:]\n18 degrees")

    def test_a_picture_that_a_tool_brought_stays_for_a_model_that_sees(self) -> None:
        left = messages(user(), called("look"), result("look", [PIXEL]), withholds=frozenset({TOOLS}))
        assert left[-1] == user([{"type": "text", "text": "[look returned:]"}, PIXEL])

    def test_what_is_left_names_no_tool_where_vendors_want_them_declared(self) -> None:
        history = (user(), called("weather", "news"), result("weather"), result("news"), user("and now?"))
        _, turns = split(messages(*history))
        kinds = {block["type"] for turn in turns for block in turn["content"]}
        assert kinds == {"text"}
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]

    @pytest.mark.parametrize("odd", [None, "text", 5])
    def test_messages_that_are_no_list_stay_and_ask_for_nothing(self, odd: Any) -> None:
        assert fitted({"messages": odd, "tools": [1]}, BOTH) == ({"messages": odd}, ["tools"])
        assert asked_of({"messages": odd}) == frozenset()

    def test_what_is_no_message_or_no_call_is_passed_over(self) -> None:
        odd = [None, 5, {"role": "tool"}, {"role": "user", "tool_calls": {"a": 1}}]
        left, names = fitted({"messages": odd, "tools": [1]}, BOTH)
        assert left["messages"] == [user("[a tool returned:]"), user("")]
        assert names == ["tools", "tool_calls"]
        assert asked_of({"messages": odd}) == {TOOLS}


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"messages": [user()]}, set()),
        ({"messages": [LOOK]}, {VISION}),
        ({"messages": [user()], "tools": [WEATHER]}, {TOOLS}),
        ({"messages": [user()], "tools": []}, set()),
        ({"messages": [user(), called("weather"), result("weather")]}, {TOOLS}),
        ({"messages": [LOOK], "functions": [{}]}, {VISION, TOOLS}),
        ({"prompt": "hi"}, set()),
    ],
)
def test_what_a_call_is_about(body: JSON, asked: set[str]) -> None:
    assert asked_of(body) == asked
