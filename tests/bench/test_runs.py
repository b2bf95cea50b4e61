"""Whole measurements, with the stub upstream in the gateway's place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import runs
from bench.processes import BenchError, StubUpstream
from bench.report import FIGURES
from bench.runs import Plan, Results, Subject, measure, run_calls


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[StubUpstream]:
    with StubUpstream(tmp_path) as server:
        yield server


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "WARM_UP_CALLS", 8)
    monkeypatch.setattr(runs, "IN_FLIGHT", 4)
    monkeypatch.setattr(runs, "PACED_STREAMS", 2)
    monkeypatch.setattr(runs, "SETTLING_SECONDS", 0)
    monkeypatch.setattr(runs, "AFTERWARDS_SECONDS", 0)


def test_a_failed_call_ends_the_bench_with_what_was_answered(upstream: StubUpstream) -> None:
    subject = Subject("Nowhere", upstream.url + "/wrong", "sk-test", upstream)
    with pytest.raises(BenchError, match=r"Nowhere: 3 of 3 calls failed, first with: status 404: .*no such path"):
        run_calls(subject, 3, 1, is_streamed=False)


@pytest.mark.usefixtures("_short")
def test_every_figure_that_is_reported_is_measured(upstream: StubUpstream) -> None:
    results: Results = {}
    said: list[str] = []
    subject = Subject("Stub", upstream.url, "sk-test", upstream)
    plan = Plan(50, streamed_calls=20, single_calls=10, paced_seconds=0.3, rounds=1, streams=5, stream_seconds=0.3)
    measure({subject: plan}, Subject("direct", upstream.url, "sk-test"), results, said.append)
    assert FIGURES.keys() <= results["Stub"].keys()
    assert results["Stub"]["open_behind"] == [0]
    assert said == ["Round 1 of 1: Stub ...", "5 open streams: Stub ..."]
