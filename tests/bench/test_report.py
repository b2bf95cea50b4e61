"""Verdicts and tables."""

import json

from bench.report import as_json, ratios, table

OURS = {"whole_cpu_ms": [1.2, 1.0, 1.9], "streamed_cpu_ms": [4.0], "open_behind": [0.0]}
THEIRS = {"whole_cpu_ms": [13.0], "streamed_cpu_ms": [61.0]}


def test_a_figure_shows_its_spread_and_whether_its_median_meets_the_target() -> None:
    text = table({"SQLite": OURS})
    assert "| CPU per call, not streamed | 1.00 / 1.20 / 1.90 ms (at most 1.8: pass) |" in text
    assert "| CPU per streamed call of 50 chunks | 4.00 ms (at most 3.5: MISS) |" in text
    assert "| streams over 1 s behind | 0 (at most 0: pass) |" in text


def test_a_figure_that_nobody_measured_has_no_row() -> None:
    assert "calls/s" not in table({"SQLite": OURS})


def test_a_figure_that_one_subject_lacks_is_a_dash() -> None:
    assert "| streams over 1 s behind | 0 (at most 0: pass) | - |" in table({"SQLite": OURS, "LiteLLM": THEIRS})


def test_the_peer_is_compared_by_medians() -> None:
    whole, streamed = ratios({"SQLite": OURS, "LiteLLM": THEIRS}, ["LiteLLM"])
    assert str(whole) == "CPU per call, not streamed: LiteLLM / SQLite = 10.8 (at least 10: pass)"
    assert str(streamed).endswith("= 15.2 (at least 20: MISS)")


def test_the_json_keeps_every_sample() -> None:
    kept = json.loads(json.dumps(as_json({"SQLite": OURS, "LiteLLM": THEIRS}, ["LiteLLM"], 0.5)))
    assert kept["samples"]["SQLite"]["whole_cpu_ms"] == [1.2, 1.0, 1.9]
    assert kept["ratios"][0]["target"] == 10
    assert kept["machine"]["django"]
