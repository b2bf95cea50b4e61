"""The vendors, as rows. A vendor that speaks OpenAI's protocol is a row and nothing else.

The row gives the console's form its choices and fields, and a requester its quirks; no migration follows from a new
row. Names are those that other gateways' users know; an alias finds its row, and only the row's own name is stored.
"""

from providers.catalog.flat import FLAT, USUAL, Flat
from providers.catalog.rows import ROWS
from providers.catalog.settings import problems
from providers.catalog.shortnames import TEMPLATES, Template, key_problem, template
from providers.catalog.vendor import CATEGORIES, LLM, ConfigField, Vendor

__all__ = [
    "CATEGORIES",
    "KNOWLEDGE_BASE",
    "REFUSED",
    "TEMPLATES",
    "VENDORS",
    "ConfigField",
    "Flat",
    "Template",
    "Vendor",
    "canonical",
    "choices",
    "find",
    "flat",
    "flat_id",
    "flat_ids",
    "grouped",
    "key_problem",
    "kind_refusal",
    "problems",
    "refusal",
    "template",
    "usual_kind",
]

VENDORS = {vendor.name: vendor for vendor in ROWS}
_BY_ALIAS = {alias: vendor for vendor in ROWS for alias in (vendor.name, *vendor.aliases)}

_TOOL = "It is no model endpoint: a program that calls models, and that belongs before this gateway, as its caller."
KNOWLEDGE_BASE = "bedrock-knowledge-base"
# Provider ids of other gateways that stand for something else than a model, and why they are no providers here.
REFUSED: dict[str, str] = {
    "bedrock-agent": "An agent keeps its own conversation and its own model at AWS: there is nothing here to meter.",
    KNOWLEDGE_BASE: "A knowledge base searches documents at AWS. Give its model a Bedrock provider instead.",
    "painter": "It has a model write a prompt and another paint it into a bucket. " + _TOOL,
    "nova-canvas": "It has a model write a prompt and another paint it into a bucket. " + _TOOL,
    "web-miner": "It searches the web on a model's behalf. " + _TOOL,
    "urls-reader": "It fetches pages on a model's behalf. " + _TOOL,
    "aws-executor": "It runs shell commands that a model writes, which this gateway never does.",
    "simple-action": "It was never finished, and serves no model.",
    "continue-coder": "It rewrites prompts of an editor. Point the editor at a model of this gateway instead.",
}
_FLAT_IDS = {_BY_ALIAS[name].name: name for name in FLAT}


def find(name: str) -> Vendor | None:
    """A vendor by its name or one of its aliases."""
    return _BY_ALIAS.get(name)


def canonical(name: str) -> str:
    """The name that is stored; an unknown one stays as it is, to be refused where it is checked."""
    vendor = find(name)
    return vendor.name if vendor else name


def refusal(name: str) -> str:
    """Why no provider of this name can be set up here; empty when one can."""
    vendor = find(name)
    return vendor.refusal if vendor else REFUSED.get(name, "")


def flat(requester: str) -> Flat:
    """How a model of it is written in one layer."""
    return FLAT.get(flat_id(requester), USUAL)


def flat_id(requester: str) -> str:
    """What it is called there."""
    return _FLAT_IDS.get(requester, requester)


def flat_ids() -> list[str]:
    """All that can be set up: first those that such programs know."""
    others = [vendor.name for vendor in ROWS if not vendor.refusal and vendor.name not in _FLAT_IDS]
    return [*FLAT, *others]


def kind_refusal(requester: str, kind: str) -> str:
    """Why a provider of this requester can have no model of this kind; empty when it can. An unknown requester is
    taken for OpenAI-compatible, which serves them all."""
    vendor = find(requester)
    return "" if vendor is None or vendor.serves(kind) else f"Provider {requester} does not support {kind} models."


def usual_kind(requester: str) -> str:
    """What a model of it is when nobody says."""
    vendor = find(requester)
    return LLM if vendor is None or LLM in vendor.kinds else min(vendor.kinds)


def grouped() -> list[tuple[str, list[Vendor]]]:
    """The vendors of each category that has any, by label."""
    groups = {category: [vendor for vendor in ROWS if vendor.category == category] for category in CATEGORIES}
    return [(key, sorted(group, key=lambda each: each.label.lower())) for key, group in groups.items() if group]


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """For the model field and the console's form, in groups."""
    return [(CATEGORIES[key][0], [(each.name, each.label) for each in group]) for key, group in grouped()]
