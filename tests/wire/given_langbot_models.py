"""Providers and models that the recorded requests of this dialect meet."""

from collections.abc import Callable
from typing import Any

from providers.models import AIModel, Kind, Provider
from tests import factories
from tests.wire.world import World


def provider(world: World) -> Provider:
    """One with one key, over the fake upstream."""
    return factories.provider(world.upstream, name="OpenAI", requester="openai-chat-completions")


def locked(world: World) -> Provider:
    """One whose key the upstream does not know."""
    return factories.provider(world.upstream, name="locked", secret="sk-wrong")


def reranker(world: World) -> Provider:
    """One of a kind that serves rerank models."""
    return factories.provider(world.upstream, name="OpenAI", requester="openai-compatible")


def model(world: World) -> AIModel:
    return factories.model(
        world.made["provider"],
        "GPT-4",
        upstream_name="echo",
        description="OpenAI GPT-4 model",
        abilities=["chat", "vision"],
    )


def secretive(world: World) -> AIModel:
    """One with a secret among its arguments."""
    return factories.model(world.made["provider"], "secretive", extra_args={"api_key": "s3cret", "seed": 7})


def router(world: World) -> Provider:
    """One that has no upstream to ask."""
    return factories.provider(name="router", requester="smart-router", base_url="", secret="")


def embedding(world: World) -> AIModel:
    return factories.model(world.made["provider"], "embedding", upstream_name="echo", kind=Kind.EMBEDDING)


def rerank(world: World) -> AIModel:
    of = world.made.get("reranker") or world.made["provider"]
    return factories.model(of, "rerank", upstream_name="echo", kind=Kind.RERANK)


def secret_of_upstream(world: World) -> dict[str, str]:
    """What the fake upstream takes for a good key."""
    return {"text": world.upstream.key}


GIVEN: dict[str, Callable[[World], Any]] = {
    each.__name__: each
    for each in (provider, reranker, locked, router, model, secretive, embedding, rerank, secret_of_upstream)
}
