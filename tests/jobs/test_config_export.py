"""What the file of an exported set-up tells, and that it can't be taken back in where it tells less."""

from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from accounts.models import Scope
from accounts.services.principals import Principal
from common import jobs
from common.models import Job
from gateway.jobs import runner, starting
from providers.models import Provider
from tests import factories

ADMIN = Principal(frozenset(Scope.values))


@pytest.fixture
def text(db: None) -> str:
    config = {"headers": {"X-Team": "hidden-one"}, "region": "eu"}
    provider = factories.provider(name="acme", secret="hidden-two", config=config)
    factories.model(provider, "seer", extra_args={"temperature": 1, "auth": {"password": "hidden-three"}})
    job = starting.export_config(by=ADMIN)
    runner.run(job.pk)
    return b"".join(jobs.read_file(Job.objects.get())).decode()


def test_no_secret_is_in_it(text: str) -> None:
    assert "hidden" not in text
    [provider] = yaml.safe_load(text)["providers"]
    assert provider["config"] == {"headers": {"X-Team": "***"}, "region": "eu"}
    assert provider["models"][0]["extra_args"] == {"temperature": 1, "auth": {"password": "***"}}
    assert provider["keys"][0]["secret"].startswith("env:")


def test_a_mask_in_it_is_no_secret_to_take_in(text: str, tmp_path: Path) -> None:
    file = tmp_path / "weighbridge.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match="stands for a secret"):
        call_command("import_config", str(file))
    assert Provider.objects.get().config["headers"] == {"X-Team": "hidden-one"}
