from pathlib import Path

import pytest

from tests.commands.brconnector_database import brconnector, brconnector_server  # noqa: F401  # fixtures
from tests.commands.declaring import CANARY, Run


@pytest.fixture
def acme_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", CANARY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


@pytest.fixture
def run(file: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(file, capsys)
