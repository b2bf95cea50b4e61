from typing import Any

import pytest

from providers.requesters.usage import Usage, usage_of


def openai(prompt: Any = 100, completion: Any = 20, total: Any = None, **parts: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **parts}
    return {name: value for name, value in usage.items() if value is not None}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (openai(), Usage(100, 0, 0, 20, 0)),
        (openai(prompt_tokens_details={"cached_tokens": 30}), Usage(70, 30, 0, 20, 0)),
        (
            openai(prompt_tokens_details={"cached_tokens": 30, "cache_creation_tokens": 50}),
            Usage(20, 30, 50, 20, 0),
        ),
        (openai(completion_tokens_details={"reasoning_tokens": 15}), Usage(100, 0, 0, 20, 15)),
        # DeepSeek
        (openai(prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36), Usage(36, 64, 0, 20, 0)),
        # xAI: reasoning is charged but not counted in completion_tokens
        (openai(total=220, completion_tokens_details={"reasoning_tokens": 100}), Usage(100, 0, 0, 120, 100)),
        (openai(total=120, completion_tokens_details={"reasoning_tokens": 20}), Usage(100, 0, 0, 20, 20)),
        # embeddings
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8)),
        ({"total_tokens": 8}, Usage(8)),
        ({"total_tokens": 8, "completion_tokens": 3}, Usage(5, 0, 0, 3)),
        ({"completion_tokens": 3}, Usage(0, 0, 0, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        # images and transcriptions: platform.openai.com/docs/api-reference/images, audio
        (
            {
                "input_tokens": 50,
                "output_tokens": 4160,
                "total_tokens": 4210,
                "input_tokens_details": {"image_tokens": 0},
            },
            Usage(50, 0, 0, 4160),
        ),
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}, Usage(14, 0, 0, 45)),
        ({"input_tokens": 50, "input_tokens_details": {"cached_tokens": 20}}, Usage(30, 20)),
        ({"prompt_tokens": 7, "input_tokens": 50}, Usage(7)),
        # a part is never larger than its whole
        (openai(prompt_tokens_details={"cached_tokens": 300}), Usage(0, 100, 0, 20, 0)),
        (
            openai(prompt_tokens_details={"cached_tokens": 60, "cache_creation_tokens": 60}),
            Usage(0, 60, 40, 20, 0),
        ),
        (openai(completion_tokens_details={"reasoning_tokens": 99}), Usage(100, 0, 0, 20, 20)),
        # nonsense counts as absent
        (openai(prompt_tokens_details=None, completion_tokens_details=[1]), Usage(100, 0, 0, 20, 0)),
        (openai(prompt_tokens_details={"cached_tokens": -5}), Usage(100, 0, 0, 20, 0)),
        (openai(prompt_tokens_details={"cached_tokens": "30"}), Usage(100, 0, 0, 20, 0)),
        (openai(completion=-3), Usage(100)),
        (openai(prompt=100.0, completion=20.5), Usage(100)),
        (openai(prompt=True, completion=20), Usage(0, 0, 0, 20)),
    ],
)
def test_usage_becomes_disjoint_buckets(usage: dict[str, Any], expected: Usage) -> None:
    assert Usage.from_openai(usage) == expected


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "usage", 7, {"prompt_tokens": None}, {"prompt_tokens": "many"}, {"prompt_tokens": -1},
     {"total_tokens": float("nan")}, {"total_tokens": float("inf")}, {"input_tokens": "5"},
     {"type": "duration", "seconds": 3}, {"search_units": 1}],
)  # fmt: skip
def test_no_usable_number_is_none(usage: Any) -> None:
    assert Usage.from_openai(usage) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"usage": {"total_tokens": 9}, "meta": {"tokens": {"input_tokens": 3}}}, {"total_tokens": 9}),
        ({"meta": {"tokens": {"input_tokens": 3}}}, {"input_tokens": 3}),
        ({"usage": None, "meta": {"tokens": {"input_tokens": 3}}}, {"input_tokens": 3}),
        ({"meta": {"tokens": None, "billed_units": {"search_units": 1}}}, None),
        ({"meta": [], "usage": 7}, None),
        ({}, None),
    ],
)
def test_where_an_answer_says_what_it_used(answer: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert usage_of(answer) == expected
