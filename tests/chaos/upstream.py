"""An upstream that does what the prompt says, for better or worse, and remembers what it served.

A prompt says `op:17 act:cut`: for which wish it is, and how to behave.
"""

import re
from collections.abc import Callable
from typing import Any

from tests.chaos.story import Served, Story
from tests.fakes import openai
from tests.fakes.kinds import FakeKinds, KindsHandler
from tests.fakes.server import JSON

TEXTS = ("/v1/chat/completions", "/v1/completions")
WISH = re.compile(r"op:(\d+) act:([\w-]+)")
# How often each comes, of how many. Who answers well does so with what the fakes of the other tests answer.
GOOD_ACTS = {"echo": 40, "slow": 12, "no-usage": 6, "every-part": 4, "late": 6, "greedy": 4}
BAD_ACTS = {
    "hang": 2,
    "hang-midstream": 3,
    "cut": 4,
    "cut-body": 2,
    "garbage": 2,
    "html": 1,
    "error-in-stream": 3,
    "400": 3,
    "429": 2,
    "500": 3,
    "503": 3,
}
PLAIN_ACTS = {"echo": 60, "late": 8, "hang": 2, "garbage": 2, "html": 1, "400": 3, "429": 1, "500": 2, "503": 2}
LATE_SECONDS = 0.3
GREED = 300  # tokens more than anybody asked for
RERANK_TOKENS = 7


class ChaosHandler(KindsHandler):
    fake: Any

    def respond(self, body: Any) -> None:
        wish = WISH.search(str(body))
        if self.command != "POST" or wish is None:
            super().respond(body)
            return
        served = Served(int(wish[1]), wish[2])
        with self.fake.story.lock:
            self.fake.story.served.append(served)
        self._serve_wish(body, served)
        self.wfile.flush()
        served.is_finished = True

    def _serve_wish(self, body: JSON, served: Served) -> None:
        act = {"late": "echo", "greedy": "echo"}.get(served.act, served.act)
        if served.act == "late":
            self.pause(LATE_SECONDS)
        if act.isdecimal():
            self.send_json(int(act), {"error": {"message": f"fake {act}", "type": "fake", "code": None}})
        elif self.path not in TEXTS:
            self._plain(body, served, act)
        elif served.act == "greedy":
            self._greedy({**body, "model": act}, served)
        else:
            self._text({**body, "model": act}, served)

    def _text(self, body: JSON, served: Served) -> None:
        served.is_good = served.act in GOOD_ACTS
        if served.is_good and served.act != "no-usage":
            served.tokens = _tokens(openai.usage(body))
        super().respond(body)

    def _greedy(self, body: JSON, served: Served) -> None:
        """Counts more than was asked for: what that costs beyond the hold, nobody must be charged with."""
        said = openai.usage(body)
        said["completion_tokens"] += GREED
        served.tokens, served.is_good = _tokens(said), True
        shape = _shape_of(self.path)
        if not body.get("stream"):
            self.send_json(200, {**openai.whole(body, shape), "usage": said})
            return
        self.start_stream()
        for chunk in openai.chunks(body, shape):
            self.send_event({**chunk, "usage": said} if chunk.get("usage") else chunk)
        self.send_event("[DONE]")
        self.end_stream()

    def _plain(self, body: JSON, served: Served, act: str) -> None:
        """An endpoint whose answer comes whole, or not at all."""
        broken: dict[str, Callable[[], None]] = {
            "hang": self.hang,
            "garbage": lambda: self.send_bytes(200, b'{"data": [', "application/json"),
            "html": lambda: self.send_bytes(200, b"<!doctype html><title>Welcome</title>", "text/html"),
        }
        if act in broken:
            broken[act]()
            return
        served.is_good = True
        if self.path == "/v1/rerank":
            served.tokens = (RERANK_TOKENS, 0, 0)
        if self.path == "/v1/embeddings":
            texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
            served.tokens = (sum(len(text.split()) for text in texts), 0, 0)
        super().respond({**body, "model": "echo"})


def _tokens(said: JSON) -> tuple[int, int, int]:
    cached = said.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return said["prompt_tokens"] - cached, cached, said["completion_tokens"]


def _shape_of(path: str) -> Callable[..., JSON]:
    return openai._chat_shape if path == TEXTS[0] else openai._completion_shape


class ChaosUpstream(FakeKinds):
    handler = ChaosHandler

    def __init__(self, story: Story) -> None:
        self.story = story
        super().__init__()
