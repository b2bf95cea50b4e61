"""What came out of a call: text, tool calls and usage, gathered from an answer or from its events."""

from dataclasses import dataclass, field
from typing import Any

from providers.requesters.errors import BadAnswer
from providers.requesters.forms import Answer
from providers.requesters.sse import DONE, Event, read_events
from providers.requesters.usage import usage_of

JSON = dict[str, Any]

EVENTS = "text/event-stream"
LAST_EVENTS = frozenset({"transcript.text.done", "speech.audio.done"})
MOST_TOOL_CALLS = 256
LONGEST_NAME = 256
# Fields of a delta that a caller waits for.
SAYING = ("content", "text", "reasoning_content", "reasoning", "tool_calls", "refusal", "audio", "function_call")


@dataclass(slots=True)
class Tally:
    """Keeps at most `room` characters of each text, and counts all of them."""

    room: int
    texts: list[str] = field(default_factory=list)
    reasonings: list[str] = field(default_factory=list)
    tool_calls: dict[tuple[int, int], JSON] = field(default_factory=dict)
    characters: int = 0
    events: int = 0
    finish_reason: str = ""
    usage: JSON | None = None
    is_truncated: bool = False

    def feed(self, event: Event) -> bool:
        """Take one event in; True when it carries usage and nothing else."""
        chunk = _parse(event)
        self.events += 1
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.usage = usage  # vendors may repeat it on every chunk; the last is final
        choices = chunk.get("choices")
        if not choices:
            return usage is not None
        self._choices(choices, "delta")
        return False

    def take_answer(self, answer: Answer) -> None:
        """Take an answer in that may be no JSON: a text counts as what was said, sound says nothing."""
        if answer.content_type.startswith(EVENTS):
            for event in read_events([answer.raw or b""]):
                self._last_event(event)
        elif answer.content_type.startswith("text/"):
            self._keep(self.texts, (answer.raw or b"").decode(errors="replace"))
        else:
            self.take(answer.json)

    def _last_event(self, event: Event) -> None:
        """A stream of a transcript or of sound ends with the whole text, if there is one, and the usage."""
        if event.data != DONE and (said := _parse(event)).get("type") in LAST_EVENTS:
            self.take(said)

    def take(self, answer: JSON) -> None:
        """Take a whole answer in."""
        self.usage = usage_of(answer)
        if answer.get("text"):
            self._keep(self.texts, answer["text"])  # a transcription
        self._choices(answer.get("choices") or (), "message")

    def _choices(self, choices: Any, field_name: str) -> None:
        try:
            for choice in choices:
                self._choice(choice, choice.get(field_name) or choice)
        except (AttributeError, TypeError, LookupError) as error:
            raise BadAnswer("The upstream sent a choice of an unknown shape.") from error

    def _choice(self, choice: JSON, said: JSON) -> None:
        text = said.get("content") or said.get("text")
        if text:
            self._keep(self.texts, text)
        reasoning = said.get("reasoning_content")
        if reasoning:
            self._keep(self.reasonings, reasoning)
        for position, call in enumerate(said.get("tool_calls") or ()):
            self._tool_call(choice.get("index") or 0, call.get("index", position), call)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def _keep(self, kept: list[str], text: Any) -> None:
        if not isinstance(text, str):
            return
        if self.characters < self.room:
            kept.append(text[: self.room - self.characters])
        self.characters += len(text)
        self.is_truncated = self.characters > self.room

    def _tool_call(self, choice: int, position: int, call: JSON) -> None:
        """Streamed calls come in pieces: a name first, then its arguments bit by bit."""
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        if (choice, position) in self.tool_calls or len(self.tool_calls) < MOST_TOOL_CALLS:
            whole = self.tool_calls.setdefault((choice, position), {"id": "", "name": "", "arguments": ""})
            whole["id"] = (call.get("id") or whole["id"])[:LONGEST_NAME]
            whole["name"] = (function.get("name") or whole["name"])[:LONGEST_NAME]
            whole["arguments"] += arguments[: max(self.room - self.characters, 0)]
        self.characters += len(arguments)
        self.is_truncated = self.is_truncated or self.characters > self.room


def _parse(event: Event) -> JSON:
    try:
        chunk = event.json
        if isinstance(chunk, dict):
            return chunk
    except ValueError:
        pass
    raise BadAnswer("The upstream sent an event that is not a JSON object.")


def says_something(event: Event) -> bool:
    """Whether an event carries more than a role: text, reasoning, a tool call or an end."""
    choices = _parse(event).get("choices")
    return isinstance(choices, list) and any(_says(choice) for choice in choices if isinstance(choice, dict))


def _says(choice: JSON) -> bool:
    delta = choice.get("delta")
    said = delta if isinstance(delta, dict) else choice
    return bool(choice.get("finish_reason")) or any(said.get(name) for name in SAYING)
