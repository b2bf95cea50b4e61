"""Sessions, made of the threads that come over. BRConnector has one for a Session-Id, whosever it is; here each key has
its own, and a session's totals are those of its exchanges."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection

from accounts.services.ledger.sql import Insert, columns, run_many
from chat.models import Session
from gateway.moving import texts
from gateway.moving.move import Move, stored_uuid
from gateway.moving.moved import Moved
from gateway.moving.source import SessionRow

TABLE = "eiai_session"
SESSIONS = Session._meta.db_table
TITLE_LENGTH = 64
Place = tuple[int, str]  # a key here, and a Session-Id


@dataclass(frozen=True)
class Upsert(Insert):
    """Rows for a table, or more for those that are there."""

    more: str = ""

    @cached_property
    def for_one_row(self) -> str:
        return f"{super().for_one_row} {self.more}"

    @cached_property
    def for_json(self) -> str:
        return f"{super().for_json} {self.more}"


UPSERT = Upsert(
    SESSIONS,
    columns("uuid created_at updated_at api_key_id key title calls input_tokens output_tokens fee"),
    more=f"""ON CONFLICT (api_key_id, key) DO UPDATE SET
        created_at = CASE WHEN excluded.created_at < {SESSIONS}.created_at
            THEN excluded.created_at ELSE {SESSIONS}.created_at END,
        updated_at = CASE WHEN excluded.updated_at > {SESSIONS}.updated_at
            THEN excluded.updated_at ELSE {SESSIONS}.updated_at END,
        title = CASE WHEN {SESSIONS}.title = '' THEN excluded.title ELSE {SESSIONS}.title END,
        calls = {SESSIONS}.calls + excluded.calls,
        input_tokens = {SESSIONS}.input_tokens + excluded.input_tokens,
        output_tokens = {SESSIONS}.output_tokens + excluded.output_tokens, fee = {SESSIONS}.fee + excluded.fee""",
)


class Namer:
    """Says of threads which session they belong to."""

    def __init__(self, move: Move) -> None:
        self.move = move
        self.shared = {row[0] for row in _shared(move)}
        self.seen: set[int] = set()  # in a dry run: what would have been made
        for session_id in sorted(self.shared):
            move.report.odd(TABLE, session_id, "several keys shared it; each has its own now, without a title")
        for session_id in _empty(move):
            move.report.left_out(TABLE, session_id, "it has no threads")

    def name(self, threads: list[Moved]) -> None:
        """Fills in session key and title. An embedding has no session, whatever its caller sent."""
        chats = [each for each in threads if each.endpoint == texts.CHAT]
        wanted = sorted({each.row.session_id for each in chats if each.row.session_id})
        rows = self.move.source.those(TABLE, SessionRow, "id", wanted) if wanted else []
        found = {row.id: row for row in rows}
        for each in chats:
            session = found.get(each.row.session_id or 0)
            each.session_key = each.row.session_key or (session.key if session else "") or ""
            is_own = session and session.key_id == each.row.key_id and session.id not in self.shared
            # A title is the start of an answer: of a shared session's, nobody knows whose.
            each.session_title = (session.title or "")[:TITLE_LENGTH] if session and is_own else ""
        if self.move.is_dry:
            self._count(chats)

    def _count(self, chats: Iterable[Moved]) -> None:
        new = {hash((each.row.key_id, each.session_key)) for each in chats if each.session_key} - self.seen
        self.seen |= new
        self.move.report.added(TABLE, len(new))


def _shared(move: Move) -> list[tuple[Any, ...]]:
    if not move.source.has("eiai_thread", "session_id"):
        return []
    return move.source.run(
        "SELECT session_id FROM eiai_thread WHERE session_id > 0 GROUP BY session_id HAVING min(key_id) <> max(key_id)"
    )


def _empty(move: Move) -> Iterable[int]:
    if not move.source.has("eiai_thread", "session_id"):
        return []
    query = """SELECT s.id FROM eiai_session s
        WHERE NOT EXISTS (SELECT FROM eiai_thread t WHERE t.session_id = s.id) ORDER BY s.id"""
    return (row[0] for row in move.source.run(query))


def write(move: Move, threads: list[Moved]) -> None:
    """Make or enlarge the sessions of these threads, and say each thread its session's id."""
    groups: dict[Place, list[Moved]] = {}
    for each in threads:
        if each.session_key:
            groups.setdefault((each.key_id, each.session_key), []).append(each)
    if not groups:
        return
    before = _ids(groups)
    run_many(connection, UPSERT, [_row(move, place, members) for place, members in groups.items()])
    ids = _ids(groups)
    move.report.added(TABLE, len(ids) - len(before))
    for place, members in groups.items():
        for each in members:
            each.session_id = ids[place]


def _ids(places: Iterable[Place]) -> dict[Place, int]:
    wanted = set(places)
    keys, names = {key for key, _ in wanted}, {name for _, name in wanted}
    found = Session.objects.order_by().filter(api_key__in=keys, key__in=names).values_list("api_key_id", "key", "id")
    return {(key, name): session_id for key, name, session_id in found if (key, name) in wanted}


def _row(move: Move, place: Place, members: list[Moved]) -> tuple[Any, ...]:
    key, name = place
    title = next((each.session_title for each in members if each.session_title), "")
    return (
        stored_uuid(move.identity(TABLE, f"{members[0].row.key_id}/{name}")),
        *(min(each.created_at for each in members), max(each.updated_at for each in members)),
        *(key, name, title, len(members)),
        *(sum(each.tokens_in for each in members), sum(each.tokens_out for each in members)),
        sum(each.fee for each in members),
    )
