"""The vendors, as rows. A vendor that speaks OpenAI's protocol is a row and nothing else.

The row gives the console's form its choices and a requester its quirks; no migration follows from a new row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.requesters.anthropic import AnthropicRequester
from providers.requesters.base import Requester


@dataclass(frozen=True, slots=True)
class Vendor:
    """One kind of endpoint: its label, where it usually lives, who speaks to it and in which quirks."""

    name: str
    label: str
    base_url: str
    requester: type[Requester] = Requester
    max_tokens_field: str = "max_tokens"
    requires_max_tokens: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    needs_key: bool = True


def index(*vendors: Vendor) -> dict[str, Vendor]:
    return {vendor.name: vendor for vendor in vendors}


VENDORS = index(
    Vendor("openai", "OpenAI", "https://api.openai.com/v1", max_tokens_field="max_completion_tokens"),
    Vendor("openai-compatible", "OpenAI-compatible server", "", needs_key=False),
    Vendor(
        "anthropic",
        "Anthropic",
        "https://api.anthropic.com",
        requester=AnthropicRequester,
        requires_max_tokens=True,
    ),
    Vendor("deepseek", "DeepSeek", "https://api.deepseek.com"),
    Vendor("local", "Embedded model", "", needs_key=False),
)


def choices() -> list[tuple[str, str]]:
    """For the model field and the console's form."""
    return [(vendor.name, vendor.label) for vendor in VENDORS.values()]
