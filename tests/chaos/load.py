"""Callers at random: every endpoint, streamed and not, who leave, come again under the same key, and redeem codes."""

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.chaos.client import STAYS, Answer, Leaving, exchange, leaving, request
from tests.chaos.edits import Edits
from tests.chaos.story import Key, Paid, Story, Try
from tests.chaos.upstream import BAD_ACTS, GOOD_ACTS, PLAIN_ACTS

JSON = dict[str, Any]
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(400)
FORM = "multipart/form-data; boundary=edge"
TAGS = ("night", "nightly", "batch")
# Looked at now and then: they may be refused, and must not fail.
OTHERS = ("/v1/models", "/v1/charges", "/v1/route/explain?model=alpha", "/health", "/admin/api-key/list")
GATEWAY_AWAY_SECONDS = 1.0
LEAVERS, REPEATERS, STREAMS, CODES, LOOKS = 0.12, 0.2, 0.5, 0.02, 0.04


@dataclass(frozen=True, slots=True)
class Wish:
    """A call as it may be sent again and again."""

    op: int
    endpoint: str
    path: str
    is_stream: bool
    key: Key
    idempotency_key: str
    content: bytes
    content_type: str = "application/json"


Body = Callable[[str, random.Random], JSON]
MODELS = {
    "chat": ("alpha", "alpha", "beta", "gamma"),
    "completion": ("alpha", "beta"),
    "embedding": ("vectors",),
    "rerank": ("ranks",),
    "image": ("paint",),
    "speech": ("voice",),
    "transcription": ("ears",),
    "moderation": ("judge",),
}
PATHS = {
    "chat": "/v1/chat/completions",
    "completion": "/v1/completions",
    "embedding": "/v1/embeddings",
    "rerank": "/v1/rerank",
    "image": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "transcription": "/v1/audio/transcriptions",
    "moderation": "/v1/moderations",
}
BODIES: dict[str, Body] = {
    "chat": lambda text, chance: {"messages": [{"role": "user", "content": text}], **_length(chance)},
    "completion": lambda text, chance: {"prompt": text, **_length(chance)},
    "embedding": lambda text, chance: {"input": [text, "and this"]},
    "rerank": lambda text, chance: {"query": text, "documents": ["one", "two", "three"]},
    "image": lambda text, chance: {"prompt": text, "n": 1},
    "speech": lambda text, chance: {"input": text, "voice": "alloy"},
    "transcription": lambda text, chance: {"prompt": text},
    "moderation": lambda text, chance: {"input": text},
}
WEIGHTS = {"chat": 60, "completion": 12, "embedding": 8, "rerank": 5, "moderation": 4, "transcription": 4}
WEIGHTS |= {"image": 3, "speech": 4}


def _length(chance: random.Random) -> JSON:
    name = chance.choice(("max_tokens", "max_tokens", "max_completion_tokens"))
    return {name: chance.randrange(1, 11)} if chance.random() < 0.9 else {}


def form(body: JSON) -> bytes:
    fields = b"".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in body.items()
    )
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return fields + head + WAVE + b"\r\n--edge--\r\n"


class Load:
    """What one caller after the other does. Shared by all threads of callers."""

    def __init__(self, port: int, story: Story, edits: Edits) -> None:
        self.port, self.story, self.edits = port, story, edits
        self.numbers = count(1)
        self.repeated: list[Wish] = []

    def any_one(self, chance: random.Random) -> None:
        kind = chance.random()
        if kind < LOOKS:
            self._look(chance)
        elif kind < LOOKS + CODES and self.edits.codes:
            self._redeem(chance)
        elif kind < 2 * LOOKS + CODES:
            self._recharge(chance)
        elif self.repeated and kind < 2 * LOOKS + CODES + REPEATERS:
            self._send(chance.choice(self.repeated[-20:]), chance)
        else:
            self._send(self._wish(chance), chance)

    # Calls

    def _wish(self, chance: random.Random) -> Wish:
        endpoint = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        has_text = endpoint in ("chat", "completion")
        acts = {**GOOD_ACTS, **BAD_ACTS} if has_text else PLAIN_ACTS
        act = chance.choices(list(acts), list(acts.values()))[0]
        op = next(self.numbers)
        words = " ".join(chance.choices(("now", "then", "where", "who", "ünïcode"), k=chance.randrange(20)))
        body = {"model": chance.choice(MODELS[endpoint]), **BODIES[endpoint](f"op:{op} act:{act} {words}", chance)}
        is_stream = has_text and chance.random() < STREAMS
        if is_stream:
            body |= {"stream": True, **({"stream_options": {"include_usage": True}} if chance.random() < 0.3 else {})}
        is_form = endpoint == "transcription"
        content = form(body) if is_form else json.dumps(body).encode()
        idempotency_key = f"op-{op}" if chance.random() < REPEATERS else ""
        key = chance.choice(self.story.keys if chance.random() < 0.05 else self.story.live_keys())
        kind = FORM if is_form else "application/json"
        wish = Wish(op, endpoint, PATHS[endpoint], is_stream, key, idempotency_key, content, kind)
        if idempotency_key:
            self.repeated.append(wish)
        return wish

    def _send(self, wish: Wish, chance: random.Random) -> None:
        headers = {"Authorization": f"Bearer {wish.key.secret}", "Content-Type": wish.content_type}
        tags = [f"op-{wish.op}", *chance.sample(TAGS, chance.choice((0, 0, 0, 1, 2)))]
        headers["X-Weighbridge-Tags"] = ", ".join(tags)
        if wish.idempotency_key:
            headers["Idempotency-Key"] = wish.idempotency_key
        if chance.random() < 0.2:
            headers["Session-Id"] = f"session {chance.randrange(5)}"
        data = request(self.port, wish.path, headers, wish.content)
        leaves = leaving(chance, len(data)) if chance.random() < LEAVERS else STAYS
        tried = Try(wish.op, wish.endpoint, wish.is_stream, wish.key.id, wish.idempotency_key)
        self._note(tried, exchange(self.port, data, leaves), leaves)

    def _note(self, tried: Try, answer: Answer, leaves: Leaving) -> None:
        tried.status, tried.headers, tried.is_whole = answer.status, answer.headers, answer.is_whole
        tried.text = answer.body
        self.story.tries.append(tried)
        if not answer.status and leaves is STAYS:
            time.sleep(GATEWAY_AWAY_SECONDS)

    # Beside calls

    def _look(self, chance: random.Random) -> None:
        path = chance.choice(OTHERS)
        secret = self.story.keys[0].secret if path.startswith("/admin") else chance.choice(self.story.keys).secret
        answer = exchange(self.port, request(self.port, path, {"Authorization": f"Bearer {secret}"}))
        self.story.others.append((path, answer.status))

    def _redeem(self, chance: random.Random) -> None:
        """Several may enter the same code at the same moment."""
        code, key = chance.choice(self.edits.codes[-6:]), chance.choice(self.story.live_keys())
        answer = self._post("/v1/redeem", key.secret, {"code": code})
        self.story.others.append(("/v1/redeem", answer.status))
        self.story.redeemed.append((code, answer.status))

    def _recharge(self, chance: random.Random) -> None:
        """As a program of the operator does it, that does not come again when the answer is lost."""
        key, amount = chance.choice(self.story.live_keys()), self.story.next_amount(chance.randrange(2, 30))
        body = {"id": key.id, "balance": f"{amount // 10**10}.{amount % 10**10:010d}"}
        answer = self._post("/admin/api-key/recharge", self.story.keys[0].secret, body)
        self.story.others.append(("/admin/api-key/recharge", answer.status))
        if answer.status in (0, 200, 503):
            with suppress(ValueError):
                is_done = answer.status == 200 and json.loads(answer.body or b"{}").get("success") is True
                self.story.paid.append(Paid(key.id, amount, is_done))

    def _post(self, path: str, secret: str, body: JSON) -> Answer:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        return exchange(self.port, request(self.port, path, headers, json.dumps(body).encode()))


def wait_a_little(chance: random.Random, mean_seconds: float) -> None:
    time.sleep(min(chance.expovariate(1 / mean_seconds), 1.0) if mean_seconds else 0)
