"""OpenAI's protocol with something more in each body, or something less. What the caller says wins."""

from collections.abc import Mapping
from typing import Any, ClassVar

from providers.requesters.base import JSON, Requester

# What a call is weighed by, or the gateway sets itself: no setting may change it behind the hold's back.
NOT_EXTRA = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options", "n", "best_of"})
LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict"})


class ExtrasRequester(Requester):
    """Adds fields from the provider's config to the bodies of these operations."""

    extended: ClassVar[frozenset[str]] = frozenset({"chat"})

    def extras(self) -> Mapping[str, Any]:
        raise NotImplementedError

    def build(self, operation: str, body: JSON) -> JSON:
        built = super().build(operation, body)
        return {**self.extras(), **built} if operation in self.extended else built


class UnaskedUsageRequester(Requester):
    """For vendors whose streams end with the usage in any case, and who refuse to be asked for it."""

    def build(self, operation: str, body: JSON) -> JSON:
        built = super().build(operation, body)
        return {name: built[name] for name in built if name != "stream_options"}


class ArgsRequester(ExtrasRequester):
    """`args` is an object of further parameters."""

    def extras(self) -> Mapping[str, Any]:
        args = self.endpoint.config.get("args")
        return {name: args[name] for name in args if name not in NOT_EXTRA | LIMITS} if isinstance(args, dict) else {}


class LiteLLMRequester(ExtrasRequester):
    """A LiteLLM proxy takes these in the body of a call: docs.litellm.ai/docs/completion/input."""

    extended = frozenset({"chat", "completion", "embedding"})
    names = ("custom_llm_provider", "drop_params", "num_retries", "api_version")

    def extras(self) -> Mapping[str, Any]:
        config = self.endpoint.config
        return {name: config[name] for name in self.names if config.get(name)}
