"""What a mask means that comes back inside settings: the stored secret at the same place."""

from typing import Any

from django.core.exceptions import ValidationError

from providers.sensitive import hides
from providers.services.keyrings import MASK, NO_VALUE


def unmasked(value: Any, stored: Any, *, is_secret: bool = False) -> Any:
    """What was sent, with what is stored in the place of each mask; raises ValidationError where nothing is."""
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {
            name: unmasked(inner, known.get(name), is_secret=is_secret or hides(name)) for name, inner in value.items()
        }
    if isinstance(value, list):
        places = stored if isinstance(stored, list) else []
        return [
            unmasked(inner, places[place] if place < len(places) else None, is_secret=is_secret)
            for place, inner in enumerate(value)
        ]
    if not is_secret or value != MASK:
        return value
    if stored in (None, "") or isinstance(stored, dict | list):
        raise ValidationError(NO_VALUE)
    return stored


def keeps_stored(value: Any, sent: Any, *, is_secret: bool = False) -> bool:
    """Whether a secret is in `value` that was not sent in clear."""
    if isinstance(value, dict):
        known = sent if isinstance(sent, dict) else {}
        inner = ((value[name], known.get(name), is_secret or hides(name)) for name in value)
    elif isinstance(value, list):
        places = sent if isinstance(sent, list) else []
        padded = [*places, *[None] * len(value)]
        inner = ((each, padded[place], is_secret) for place, each in enumerate(value))
    else:
        return is_secret and value not in (None, "") and sent in (None, MASK)
    return any(keeps_stored(each, told, is_secret=hidden) for each, told, hidden in inner)
