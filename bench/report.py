"""What the figures mean: their names, units and targets, as a Markdown table for people and as JSON for machines."""

import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from bench.processes import ROOT

Results = Mapping[str, Mapping[str, list[float]]]


@dataclass(frozen=True)
class Figure:
    """One row: what it is, in which unit, and the most it may be for each subject that has a target."""

    title: str
    unit: str
    decimals: int = 2
    targets: Mapping[str, float] = field(default_factory=dict)


FIGURES = {
    "whole_cpu_ms": Figure("CPU per call, not streamed", "ms", 2, {"SQLite": 1.8, "PostgreSQL": 2.5}),
    "streamed_cpu_ms": Figure("CPU per streamed call of 50 chunks", "ms", 2, {"SQLite": 3.5, "PostgreSQL": 5}),
    "whole_calls_per_second": Figure("calls/s, not streamed", "", 0),
    "streamed_calls_per_second": Figure("calls/s, streamed", "", 0),
    "whole_p50_ms": Figure("latency, not streamed, p50", "ms", 0),
    "whole_p99_ms": Figure("latency, not streamed, p99", "ms", 0),
    "streamed_first_byte_p50_ms": Figure("first event of a stream, p50", "ms", 0),
    "streamed_p99_ms": Figure("whole stream, p99", "ms", 0),
    "whole_added_ms": Figure("added by the gateway, 1 in flight, p50", "ms", 2, {"SQLite": 3, "PostgreSQL": 5}),
    "whole_added_p99_ms": Figure("added by the gateway, 1 in flight, p99", "ms"),
    "streamed_added_first_byte_ms": Figure("added before a stream's first event, 1 in flight, p50", "ms"),
    "paced_cpu_us": Figure("CPU per chunk that comes alone, 50 streams at 10 chunks/s", "µs", 0),
    "paced_lag_p50_ms": Figure("such a chunk's way through, p50", "ms"),
    "memory_mb": Figure("memory of the worker after these (RSS)", "MB", 0),
    "open_streams": Figure("open streams at 10 chunks/s each", "", 0),
    "open_cores": Figure("cores used by them", ""),
    "open_cpu_us": Figure("CPU per chunk of theirs", "µs", 0),
    # 200 MB, and the tokenizer's vocabulary: callers left streams before (`measure_paced`), whose tokens were counted.
    "open_memory_mb": Figure("memory of the worker (RSS)", "MB", 0, {"SQLite": 275, "PostgreSQL": 275}),
    "open_proportional_memory_mb": Figure("memory of the worker (PSS)", "MB", 0),
    "open_first_event_p99_ms": Figure("first event of one more stream, p99", "ms", 0),
    "open_behind": Figure("streams over 1 s behind", "", 0, {"SQLite": 0, "PostgreSQL": 0}),
    "open_lag_p99_ms": Figure("a chunk's way through, p99", "ms", 1),
    "open_lag_max_ms": Figure("a chunk's way through, slowest", "ms", 0),
}
# How many times more CPU the peer should need, in the same run; None: told, not aimed at.
RATIO_TARGETS = {"whole_cpu_ms": 10.0, "streamed_cpu_ms": 20.0, "paced_cpu_us": None}


def verdict(is_met: bool) -> str:
    return "pass" if is_met else "MISS"


def cell(name: str, subject: str, values: list[float]) -> str:
    """`min / median / max unit (target: verdict)`, or the one value there is."""
    if not values:
        return "-"
    figure = FIGURES[name]
    median = statistics.median(values)
    shown = (min(values), median, max(values)) if len(values) > 1 else (median,)
    text = " / ".join(f"{value:.{figure.decimals}f}" for value in shown)
    text = f"{text} {figure.unit}".strip()
    if subject not in figure.targets:
        return text
    target = figure.targets[subject]
    return f"{text} (at most {target:g}: {verdict(median <= target)})"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def table(results: Results) -> str:
    lines = [row("min / median / max", *results), row(*["---"] * (len(results) + 1))]
    for name, figure in FIGURES.items():
        if any(name in samples for samples in results.values()):
            cells = (cell(name, subject, samples.get(name, [])) for subject, samples in results.items())
            lines.append(row(figure.title, *cells))
    return "\n".join(lines)


@dataclass(frozen=True)
class Ratio:
    subject: str
    peer: str
    figure: str
    value: float
    target: float | None

    def __str__(self) -> str:
        text = f"{FIGURES[self.figure].title}: {self.peer} / {self.subject} = {self.value:.1f}"
        return f"{text} (at least {self.target:g}: {verdict(self.value >= self.target)})" if self.target else text


def ratios(results: Results, peers: list[str]) -> Iterator[Ratio]:
    """Of the medians, for each peer and each other subject, as far as both were measured."""
    subjects = [name for name in results if name not in peers]
    for peer, subject, (name, target) in product(peers, subjects, RATIO_TARGETS.items()):
        ours, theirs = results[subject].get(name), results.get(peer, {}).get(name)
        if ours and theirs:
            yield Ratio(subject, peer, name, statistics.median(theirs) / statistics.median(ours), target)


def machine(load_before: float) -> dict[str, str]:
    """What the figures depend on; `load_before` tells whether others were using the machine."""
    names = ("django", "gunicorn", "gevent", "requests", "urllib3", "psycopg")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "load before": f"{load_before:.1f}",
        "python": platform.python_version(),
        "commit": git_commit(),
        **{name: version(name) for name in names},
    }


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.machine()


def git_commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "none"


def as_json(results: Results, peers: list[str], load_before: float) -> dict[str, Any]:
    """Every sample, so that a later run can be compared with this one."""
    figures = {
        name: {"title": each.title, "unit": each.unit, "targets": dict(each.targets)} for name, each in FIGURES.items()
    }
    found = [vars(each) for each in ratios(results, peers)]
    return {"machine": machine(load_before), "figures": figures, "samples": results, "ratios": found}
