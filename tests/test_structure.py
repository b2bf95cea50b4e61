"""The layout's rules, read from the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers import catalog

ROOT = Path(__file__).resolve().parents[1]
APPS = ("common", "providers", "accounts", "chat", "gateway")
MAY_IMPORT = {
    "common": set(),
    "providers": {"common"},
    "accounts": {"common"},
    "chat": {"common", "accounts", "providers"},
    "gateway": {"common", "accounts", "providers", "chat"},
}
DIALECTS = ("langbot", "brconnector", "dbgpt", "db-gpt")


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("app", APPS)
def test_imports_go_one_way(app: str) -> None:
    for path in sources(app):
        others = {name.split(".")[0] for name in imported(path)} & set(APPS) - {app}
        assert others <= MAY_IMPORT[app], f"{path.relative_to(ROOT)} imports {others - MAY_IMPORT[app]}"


def test_requesters_know_no_django() -> None:
    for path in sources("providers/requesters", "providers/local"):
        assert not [name for name in imported(path) if name.split(".")[0] in {"django", *APPS} - {"providers"}], path


def test_nothing_imports_a_dialect_but_the_composition_root() -> None:
    for path in sources("common", "providers", "accounts", "chat"):
        assert not [name for name in imported(path) if name.startswith("gateway")], path


# The inner form is OpenAI's; the gateway's own kinds are named where they are served; the rest are plain words.
NOT_VENDORS = {
    "openai",
    "openai-chat-completions",
    "openai-compatible",
    "local",
    "smart-router",
    "new",
    "space",
    "together",
    "smart",
}


def vendor_words() -> set[str]:
    """Names, aliases, and what a name starts with: anthropic of anthropic-messages. Too short ones are everywhere."""
    names = {name for vendor in catalog.VENDORS.values() for name in (vendor.name, *vendor.aliases)}
    starts = {name.split("-")[0] for name in names}
    return {word for word in names | starts if len(word) > 3} - NOT_VENDORS


def test_vendor_names_stay_with_the_vendors() -> None:
    words = re.compile(rf"\b({'|'.join(sorted(vendor_words()))})\b(?!\.\w)")  # a host name is an address
    assert {"anthropic", "deepseek", "mistral", "groq"} <= vendor_words()
    for path in sources("common", "accounts", "chat", "providers/services", "gateway/dialects"):
        own = {part for part in path.relative_to(ROOT).parts if "dialects" in path.parts}  # a dialect names itself
        assert not set(words.findall(path.read_text().lower())) - own, path


def test_dialect_names_stay_with_the_dialects() -> None:
    for path in sources("common", "accounts", "chat", "providers"):
        text = re.sub(r"https?://\S+", "", path.read_text().lower())  # a host name is an address
        assert not [name for name in DIALECTS if name in text], path


def test_no_file_is_longer_than_400_lines() -> None:
    for path in [*sources(*APPS, "tests", "bench"), *ROOT.glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path
