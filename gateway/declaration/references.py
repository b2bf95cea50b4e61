"""References to secrets: where a document says that a secret is, as it never holds one."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Resolve = Callable[[str], str | None]

ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
FILE = re.compile(r"file:(/.+)")
FORM = "must be a reference such as env:OPENAI_API_KEY or file:/run/secrets/openai, never the secret itself"


def is_reference(text: str) -> bool:
    return bool(ENVIRONMENT.fullmatch(text) or FILE.fullmatch(text))


def resolve(reference: str) -> str | None:
    """The secret behind a reference; None when there is none, or an empty one."""
    if found := ENVIRONMENT.fullmatch(reference):
        return os.environ.get(found[1], "").strip() or None
    if found := FILE.fullmatch(reference):
        return _read(Path(found[1]))
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def names_for(keys: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A variable of its own for each (provider, key), such as WEIGHBRIDGE_OPENAI_DEFAULT."""
    taken: set[str] = set()
    for provider, key in keys:
        plain = "_".join(re.sub(r"[^A-Z0-9]+", "_", part.upper()).strip("_") for part in (provider, key))
        name, number = f"WEIGHBRIDGE_{plain}", 1
        while name in taken:
            number += 1
            name = f"WEIGHBRIDGE_{plain}_{number}"
        taken.add(name)
        yield f"env:{name}"
