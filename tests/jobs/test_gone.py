"""What a background task works at may be gone by the time it comes to it."""

from typing import Any

import pytest

from accounts.models import Scope
from accounts.services.principals import Principal
from common.models import Job, JobState
from gateway.jobs import runner, starting
from providers.models import AIModel, Provider
from providers.services import discovery
from tests import factories
from tests.fakes.lister import FakeLister

ADMIN = Principal(frozenset(Scope.values))


@pytest.mark.parametrize("when", ["before", "after the scan"])
def test_an_import_whose_provider_is_deleted_says_so(
    database: None, monkeypatch: pytest.MonkeyPatch, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeLister("seer") as upstream:
        provider = factories.provider(upstream)
        job = starting.import_models(provider=provider, by=ADMIN)
        scan = discovery.scan

        def scan_and_delete(**given: Any) -> Any:
            found = scan(**given)
            Provider.objects.all().delete()
            return found

        if when == "before":
            provider.delete()
        monkeypatch.setattr(discovery, "scan", scan_and_delete)
        runner.run(job.pk)
    job = Job.objects.get()
    assert (job.state, job.error) == (JobState.FAILED, "The provider is not there any more.")
    assert not AIModel.objects.exists()
    assert "Traceback" not in caplog.text
