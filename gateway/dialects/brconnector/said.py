"""Sessions and their exchanges, called threads here: which of them a caller sees, and how they look (contract A2.6)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from django.db.models import QuerySet
from rest_framework.request import Request

from accounts.models import ApiKey
from chat.models import Session, Thread
from gateway.dialects.brconnector.lists import Page, containing, id_parameter, listed, one, page_of
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import money, path_id, price, time_text

JSON = dict[str, Any]

AT_ONCE = 100  # threads in memory with all that they say
NO_SESSION = 0
# An embedding has the type of a stream; nobody knows why.
STREAMED, WHOLE = 0, 1
EMBEDDING = "embedding"


def all_sessions() -> QuerySet[Session]:
    return Session.objects.exclude(api_key__in=_hidden_keys())


def all_threads() -> QuerySet[Thread]:
    return Thread.objects.exclude(api_key__in=_hidden_keys())


def _hidden_keys() -> QuerySet[ApiKey]:
    """The console's own."""
    return ApiKey.objects.filter(is_internal=True).order_by()


def wanted_id(request: Request, id: str | None) -> int:
    """The number from the path, else from the query. Raises Refusal."""
    number = id_parameter(request, "id") if id is None else path_id(id)
    if number is None:
        raise Refusal("id is required")
    return number


def yours(rows: QuerySet[Any], id: str, shape: Callable[[Any], JSON], what: str) -> JSON:
    """One of those that are the caller's, from the path. Raises Refusal."""
    found = one(rows, path_id(id), shape)
    if found is None:  # nobody is told whether somebody else has it
        raise Refusal(f"Unauthorized: not your {what}.", 403, "not_yours")
    return found


def session_list(request: Request, sessions: QuerySet[Session]) -> JSON:
    """One page of these, the newest first, as far as the query's parameters let them through."""
    page, key_id = page_of(request), id_parameter(request, "key_id")
    found = containing(sessions.order_by("-id"), page.q, "title")
    return listed(found if key_id is None else found.filter(api_key=key_id), page, session_row)


def session_row(session: Session) -> JSON:
    return {
        "id": session.pk,
        "key": session.key,
        "title": session.title,
        "key_id": session.api_key_id,
        "total_in_tokens": session.input_tokens,
        "total_out_tokens": session.output_tokens,
        "total_fee": money(session.fee),
        "currency": "USD",
        "created_at": time_text(session.created_at),
        "updated_at": time_text(session.updated_at),
    }


def thread_list(request: Request, threads: QuerySet[Thread]) -> JSON:
    """One page of these: the newest first, but a session's as they came."""
    page = page_of(request)
    key_id, session_id = id_parameter(request, "key_id"), id_parameter(request, "session_id")
    found = containing(threads.order_by("-id"), page.q, "body__prompt", "body__completion")
    if key_id is not None:
        found = found.filter(api_key=key_id)
    if session_id is not None:
        found = found.filter(session=session_id or None).order_by("id")
    items = [thread_row(thread) for thread in _read(_ids(found, page))]
    return {"items": items, "total": found.count(), "limit": page.limit, "offset": page.offset}


def _ids(threads: QuerySet[Thread], page: Page) -> list[int]:
    """Without the texts and without the charges, which no row that is passed over needs."""
    return list(threads.values_list("pk", flat=True)[page.offset : page.offset + page.limit])


def _read(ids: Sequence[int]) -> Iterator[Thread]:
    """These threads in this order, a few at a time: what was said may be long."""
    for start in range(0, len(ids), AT_ONCE):
        few = ids[start : start + AT_ONCE]
        found = Thread.objects.select_related("charge", "body").in_bulk(few)
        yield from (found[id] for id in few if id in found)


def thread_row(thread: Thread) -> JSON:
    """What lists show."""
    return {
        "id": thread.pk,
        "prompt": prompt_of(thread),
        "completion": completion_of(thread),
        "session_id": thread.session_id or NO_SESSION,
        "tokens_in": thread.charge.prompt_tokens,
        "tokens_out": thread.charge.output_tokens,
        "fee": money(thread.charge.fee),
    }


def whole(threads: QuerySet[Thread]) -> QuerySet[Thread]:
    """With what `thread_detail` reads."""
    return threads.select_related("charge", "session", "body")


def thread_detail(thread: Thread) -> JSON:
    """All of it."""
    charge = thread.charge
    return {
        **thread_row(thread),
        "whole_prompt": thread.messages,
        "thread_type": STREAMED if charge.is_stream or charge.endpoint == EMBEDDING else WHOLE,
        "key_id": thread.api_key_id,
        "model_id": charge.model_id,
        "session_key": thread.session.key if thread.session else "",
        "price_in": price(charge.price_in),
        "price_out": price(charge.price_out),
        "currency": "USD",
        "invocation_latency": charge.total_ms or 0,
        "first_byte_latency": charge.first_byte_ms or 0,
        "created_at": time_text(thread.created_at),
        "updated_at": time_text(thread.updated_at),
    }


def prompt_of(thread: Thread) -> str:
    """The last message's content as JSON, its parts too where it has some; of a list that was cut, its text."""
    if not thread.messages:
        return ""
    last = _last_message(thread.messages)
    content = last["content"] if isinstance(last, dict) and "content" in last else thread.prompt
    return orjson.dumps(content).decode()


def _last_message(messages: str) -> Any:
    try:
        said = orjson.loads(messages)
    except orjson.JSONDecodeError:
        return None
    return said[-1] if isinstance(said, list) and said else None


def completion_of(thread: Thread) -> str:
    """With what was thought before it."""
    return f"<think>{thread.reasoning}</think>{thread.completion}" if thread.reasoning else thread.completion
