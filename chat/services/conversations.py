"""What was said, stored with what it cost: the ledger calls `Record.write` in the settlement's own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, F, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import keys
from accounts.services.ledger.sql import Insert, columns, run_many
from accounts.services.ledger.types import Settled
from chat.models import IdempotentCall, Session, Thread, ThreadBody
from chat.services.tally import Tally
from providers.requesters.forms import FilePart

SESSIONS = Session._meta.db_table
PROMPT_TOKENS = F("charge__input_tokens") + F("charge__cached_read_tokens") + F("charge__cached_write_tokens")
INSERT_THREAD = Insert(
    Thread._meta.db_table,
    columns("uuid created_at updated_at charge_id api_key_id session_id finish_reason is_truncated"),
)
INSERT_BODY = Insert(
    ThreadBody._meta.db_table,
    columns("charge_id created_at prompt messages completion reasoning tool_calls"),
    json_names=frozenset({"tool_calls"}),
)
UPSERT_SESSION = (
    Insert(
        SESSIONS,
        columns("uuid created_at updated_at api_key_id key title calls input_tokens output_tokens fee"),
    ).for_one_row
    + f""" ON CONFLICT (api_key_id, key) DO UPDATE SET updated_at = excluded.updated_at,
        calls = {SESSIONS}.calls + 1, input_tokens = {SESSIONS}.input_tokens + excluded.input_tokens,
        output_tokens = {SESSIONS}.output_tokens + excluded.output_tokens, fee = {SESSIONS}.fee + excluded.fee,
        title = CASE {SESSIONS}.title WHEN '' THEN excluded.title ELSE {SESSIONS}.title END
        RETURNING id"""
)
LONGEST_TITLE = 30  # characters
LONGEST_KIND = 200  # characters before the comma of a data URI


@dataclass(frozen=True, slots=True)
class Record:
    """One exchange, ready to be stored."""

    session_key: str
    prompt: str
    messages: str
    completion: str
    reasoning: str
    tool_calls: str
    finish_reason: str
    is_truncated: bool

    @property
    def texts(self) -> tuple[str, ...]:
        return self.prompt, self.messages, self.completion, self.reasoning, self.tool_calls

    @classmethod
    def write(cls, connection: BaseDatabaseWrapper, settled: Sequence[Settled]) -> None:
        """Store the exchanges of these settlements; sessions are made at their first call."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        records = [(each, each.settlement.record) for each in settled]
        own = [(each, record) for each, record in records if isinstance(record, Record)]
        run_many(connection, INSERT_THREAD, [_thread_row(connection, now, *each) for each in own])
        bodies = [(each.charge_id, now, *record.texts) for each, record in own if record.texts != NOT_KEPT]
        run_many(connection, INSERT_BODY, bodies)


NOT_KEPT = ("", "", "", "", "[]")


def _thread_row(connection: BaseDatabaseWrapper, now: Any, result: Settled, record: Record) -> tuple[Any, ...]:
    session_id = _session(connection, now, result, record) if record.session_key else None
    ending = (record.finish_reason, record.is_truncated)
    return (_new_uuid(connection), now, now, result.charge_id, result.settlement.key_id, session_id, *ending)


def _session(connection: BaseDatabaseWrapper, now: Any, result: Settled, record: Record) -> int:
    tokens = result.settlement.tokens
    said = (record.session_key, title_of(record.completion))
    counts = (1, tokens.prompt, tokens.output, result.fee)
    with connection.cursor() as cursor:
        cursor.execute(UPSERT_SESSION, (_new_uuid(connection), now, now, result.settlement.key_id, *said, *counts))
        session_id: int = cursor.fetchone()[0]
        return session_id


def title_of(completion: str) -> str:
    """What a session is called by: the first words of its first answer that has any. A word that is too long by itself
    is cut, as some languages have no spaces."""
    folded = " ".join(completion.split(maxsplit=LONGEST_TITLE)[:LONGEST_TITLE])
    if len(folded) <= LONGEST_TITLE:
        return folded
    return folded[: LONGEST_TITLE + 1].rpartition(" ")[0] or folded[:LONGEST_TITLE]


def _new_uuid(connection: BaseDatabaseWrapper) -> Any:
    return uuid4() if connection.features.has_native_uuid_field else uuid4().hex


# The fields that each kind of call is made of. Others pass through, and are no part of what was said.
SAID: dict[str, tuple[str, ...]] = {
    "chat": ("messages",),
    "completion": ("prompt",),
    "embedding": ("input",),
    "rerank": ("query", "documents"),
    "image": ("prompt",),
    "speech": ("input",),
    "transcription": ("prompt",),
    "moderation": ("input",),
}


def record_of(body: dict[str, Any], endpoint: str, session_key: str, tally: Tally) -> Record | None:
    """The record of one call, cut to what is kept; None when nothing is to be kept."""
    if not settings.HISTORY:
        return Record(session_key, *NOT_KEPT, tally.finish_reason[:32], True) if session_key else None
    if endpoint == "completion" and body.get("prompt") is None:
        endpoint = "chat"  # one of messages
    room = settings.HISTORY_MAX_CHARS
    messages = orjson.dumps(_said(body, endpoint)).decode()
    prompt = last_text(body, endpoint)
    return Record(
        session_key=session_key,
        prompt=_clean(prompt[:room]),
        messages=_clean(messages[:room]),
        completion=_clean("".join(tally.texts)),
        reasoning=_clean("".join(tally.reasonings)),
        tool_calls=_clean_json(orjson.dumps(list(tally.tool_calls.values())).decode()) if tally.tool_calls else "[]",
        finish_reason=_clean(str(tally.finish_reason)[:32]),
        is_truncated=tally.is_truncated or len(messages) > room or len(prompt) > room,
    )


def _said(body: dict[str, Any], endpoint: str) -> Any:
    """What the call says. A file's bytes are never kept, wherever in a form they stand."""
    if endpoint == "chat":
        return list(map(_without_file_data, body["messages"]))
    said = {name: body.get(name) for name in SAID[endpoint] if not isinstance(body.get(name), FilePart)}
    return said if len(SAID[endpoint]) > 1 else next(iter(said.values()), None)


def _without_file_data(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_named(part) if _is_file(part) else part for part in content]}


def _is_file(part: Any) -> bool:
    file = part.get("file") if isinstance(part, dict) and part.get("type") == "file" else None
    return isinstance(file, dict) and "file_data" in file


def _named(part: dict[str, Any]) -> dict[str, Any]:
    """A file by its name and kind alone."""
    kind, comma, _ = str(part["file"]["file_data"])[:LONGEST_KIND].partition(",")
    return {**part, "file": {**part["file"], "file_data": f"{kind}," if comma else ""}}


def last_text(body: dict[str, Any], endpoint: str) -> str:
    """The text of the last message, or the prompt, or what is to be embedded, or what is looked for."""
    said = body.get(SAID[endpoint][0])
    if endpoint == "chat":
        said = said[-1].get("content") if said else None
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return "\n".join(filter(None, map(_text_of, said)))
    return ""


def _text_of(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _clean(text: str) -> str:
    """PostgreSQL's texts hold no NUL; a call is not refused for one."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _clean_json(text: str) -> str:
    return text.replace("\\u0000", "\\ufffd") if "\\u0000" in text else text


@transaction.atomic
def retire_key(*, key: ApiKey) -> None:
    """Revoke a key for good and remove what was said with it. What it has cost stays in the ledger."""
    keys.retire(key=key)
    Thread.objects.filter(api_key=key).delete()
    Session.objects.filter(api_key=key).delete()
    IdempotentCall.objects.filter(api_key=key).delete()


def session_breaks() -> list[str]:
    """Sessions whose totals are not those of their exchanges; an empty list is the proof."""
    totals = Thread.objects.filter(session=OuterRef("pk")).order_by().values("session")
    sums = {
        "found_calls": totals.annotate(total=Count("pk")).values("total"),
        "found_fee": totals.annotate(total=Sum("charge__fee")).values("total"),
        "found_output": totals.annotate(total=Sum("charge__output_tokens")).values("total"),
        "found_input": totals.annotate(total=Sum(PROMPT_TOKENS)).values("total"),
    }
    sessions = Session.objects.annotate(**{name: Subquery(query) for name, query in sums.items()})
    counts = Q(calls=F("found_calls"), input_tokens=F("found_input"), output_tokens=F("found_output"))
    same = counts & Q(fee=F("found_fee"))
    return [f"session {session.pk}: its totals are not its exchanges'" for session in sessions.exclude(same)]
