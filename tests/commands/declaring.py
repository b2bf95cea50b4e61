"""A declaration for tests, and running the command that takes one."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from common.models import ConfigVersion

CANARY = "sk-canary-never-to-be-seen-0123456789"

SMALL = """
version: 1
providers:
- name: acme
  requester: openai
  base_url: https://acme.example/v1
  retries: 3
  config: {headers: {X-Team: weighbridge-team}}
  keys:
  - {name: main, secret: env:ACME_KEY, weight: 2}
  models:
  - {name: seer, upstream_name: seer-2026, price_in: '2.50', price_out: '10', strategy: sticky, fallbacks: [plain]}
  - {name: plain, kind: embedding}
groups:
- {name: team, models: [seer]}
"""


class Run:
    """Imports texts, and keeps all that was printed."""

    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.capsys = file, capsys

    def __call__(self, document: Any, *options: str) -> str:
        self.file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        try:
            call_command("import_config", str(self.file), *options)
        finally:
            self.printed = self.capsys.readouterr().out
            assert CANARY not in self.printed
        return self.printed

    def problems(self, document: Any) -> str:
        version = ConfigVersion.current()
        with pytest.raises(CommandError) as caught:
            self(document)
        assert CANARY not in str(caught.value)
        assert ConfigVersion.current() == version
        return str(caught.value)
