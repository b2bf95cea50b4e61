"""Sessions and threads that the recorded requests meet: real calls of two keys."""

from collections.abc import Callable
from typing import Any

from django.test import Client

from accounts.services.keys import IssuedKey
from chat.models import Session, Thread
from providers.models import AIModel
from tests import factories
from tests.wire.world import World

SESSION = "chat-7"


def echo(world: World) -> AIModel:
    return AIModel.objects.first() or factories.model(factories.provider(world.upstream))


def call(world: World, issued: IssuedKey, content: Any, **options: Any) -> Thread:
    """What that call left."""
    session = options.pop("session", SESSION)
    body = {"model": echo(world).name, "messages": [{"role": "user", "content": content}], "max_tokens": 3, **options}
    headers = {"X-API-Key": issued.secret, "Session-Id": session}
    answer = Client().post("/v1/chat/completions", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200 and answer.getvalue()
    return Thread.objects.latest("id")


def thread(world: World) -> Thread:
    return call(world, world.stranger, "How is a bridge weighed?")


def session(world: World) -> Session | None:
    """The stranger's, with two threads in it: `thread` and a streamed one with an image."""
    world.made["first"] = thread(world)
    image = {"type": "image_url", "image_url": {"url": "https://example.com/bridge.png"}}
    parts = [{"type": "text", "text": "And this one?"}, image]
    world.made["second"] = call(world, world.stranger, parts, stream=True)
    return world.made["second"].session


def loose_thread(world: World) -> Thread:
    """In no session, and with what was thought."""
    message = {"role": "assistant", "content": "Slowly.", "reasoning_content": "By its lorries?"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    world.upstream.reply_json("echo", {"object": "chat.completion", "choices": [choice], "usage": usage})
    try:
        return call(world, world.stranger, "How?", session="")
    finally:
        world.upstream.replies.clear()


def foreign_thread(world: World) -> Thread:
    """Somebody else's, in a session of the same name."""
    return call(world, world.reader, "Nobody's business")


GIVEN: dict[str, Callable[[World], Any]] = {
    "echo": echo,
    "thread": thread,
    "session": session,
    "loose_thread": loose_thread,
    "foreign_thread": foreign_thread,
}
