"""How hard a model thinks: this dialect's levels, and the effort that each is here (contract 1.5)."""

from typing import Any

from django.core.exceptions import ValidationError

from providers.policies import EFFORTS

JSON = dict[str, Any]

DEFAULT = "provider_default"
# An effort that was set in another way, and the level that it is shown as.
LEVELS = {"": DEFAULT, "none": "disabled"}
FIELDS = {"level", "budget_tokens"}
CONFLICTING = ("reasoning_effort", "thinking", "enable_thinking", "thinking_budget", "reasoning")
ABILITY = "reasoning"


def checked_reasoning(data: Any) -> JSON:
    """Raises ValidationError for what is no reasoning_config."""
    if not isinstance(data, dict):
        raise ValidationError("reasoning_config must be an object")
    unknown = sorted(set(data) - FIELDS)
    if unknown:
        raise ValidationError(f"Unsupported reasoning_config fields: {', '.join(unknown)}")
    level = data.get("level", DEFAULT)
    if not isinstance(level, str) or level not in EFFORTS:
        raise ValidationError(f"Unsupported reasoning level: {level}")
    budget = data.get("budget_tokens")
    is_count = isinstance(budget, int) and not isinstance(budget, bool) and budget > 0
    if "budget_tokens" in data and not (is_count and level == "enabled"):
        raise ValidationError("budget_tokens must be a positive integer and needs the level enabled")
    return {"level": level, **{name: data[name] for name in data if name != "level"}}


def check_fit(config: JSON, abilities: list[str], extra_args: JSON) -> None:
    """Raises ValidationError where a level is asked of a model that can't, or is asked for twice."""
    if config["level"] == DEFAULT:
        return
    if ABILITY not in abilities:
        raise ValidationError("The reasoning ability must be enabled before selecting a reasoning level")
    body = extra_args.get("extra_body")
    sent = [*extra_args, *(body if isinstance(body, dict) else ())]
    clashes = [name for name in CONFLICTING if name in sent]
    if clashes:
        raise ValidationError(f"reasoning_config conflicts with advanced parameters: {', '.join(clashes)}")


def capabilities(abilities: list[str]) -> JSON:
    if ABILITY in abilities:
        return {"levels": list(EFFORTS), "source": "manual", "supported": True}
    return {"levels": [DEFAULT], "source": "unknown", "supported": False}
