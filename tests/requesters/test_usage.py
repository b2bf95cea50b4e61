from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.requesters import anthropic_answer, bedrock_answer, gemini_answer, ollama_answer
from providers.requesters.usage import MOST_REQUESTS, Usage, requests_of, usage_of


def openai(prompt: Any = 100, completion: Any = 20, total: Any = None, **parts: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **parts}
    return {name: value for name, value in usage.items() if value is not None}


OF_ANTHROPIC = {
    "input_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 60,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 7,
}
KEPT_FOR_AN_HOUR = Usage(10, 30, 60, 7, cached_write_1h_tokens=40)


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
        # images in and out: platform.openai.com/docs/api-reference/images/object
        (
            {
                "input_tokens": 90,
                "output_tokens": 4160,
                "total_tokens": 4250,
                "input_tokens_details": {"image_tokens": 60, "text_tokens": 30},
                "output_tokens_details": {"image_tokens": 4160},
            },
            Usage(90, 0, 0, 4160, image_input_tokens=60, image_output_tokens=4160),
        ),
        # chat with sound, partly from the cache
        (
            openai(
                prompt_tokens_details={"cached_tokens": 30, "audio_tokens": 80},
                completion_tokens_details={"reasoning_tokens": 5, "audio_tokens": 12, "text_tokens": 3},
            ),
            Usage(70, 30, 0, 20, 5, audio_input_tokens=70, audio_output_tokens=12),
        ),
        # OpenAI's responses
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 40},
                "output_tokens": 30,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 130,
            },
            Usage(60, 40, 0, 30, 20),
        ),
        # Anthropic's own shape, as some servers pass it through: the cache is beside input_tokens
        (OF_ANTHROPIC, KEPT_FOR_AN_HOUR),
        # ... and beside prompt_tokens, as LiteLLM has it: within
        (
            openai(
                prompt_tokens_details={"cached_tokens": 30},
                cache_read_input_tokens=30,
                cache_creation_input_tokens=60,
            ),
            Usage(10, 30, 60, 20),
        ),
        # OpenRouter, DashScope, Moonshot
        (
            openai(prompt_tokens_details={"cached_tokens": 30, "cache_write_tokens": 60}),
            Usage(10, 30, 60, 20),
        ),
        (
            openai(prompt_tokens_details={"cached_tokens": 0, "cache_creation_input_tokens": 60}),
            Usage(40, 0, 60, 20),
        ),
        (openai(cached_tokens=64), Usage(36, 64, 0, 20)),
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


COUNTS = st.one_of(st.integers(-5, 200), st.floats(), st.booleans(), st.none(), st.just("30"))
NAMES = st.sampled_from(
    [
        *("cached_tokens", "cache_creation_tokens", "cache_write_tokens", "cache_creation_input_tokens"),
        *("cache_read_input_tokens", "prompt_cache_hit_tokens", "audio_tokens", "image_tokens", "reasoning_tokens"),
        *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens"),
        *("ephemeral_1h_input_tokens",),
    ]
)
PARTS = st.dictionaries(NAMES, COUNTS)
DETAILS = st.sampled_from(
    [f"{whole}_tokens_details" for whole in ("prompt", "input", "completion", "output")] + ["cache_creation"]
)
WHOLE_USAGE = st.builds(
    lambda counts, details: {**counts, **details},
    st.dictionaries(NAMES, COUNTS),
    st.dictionaries(DETAILS, st.one_of(PARTS, COUNTS)),
)


@given(WHOLE_USAGE)
def test_no_token_is_counted_twice_and_none_below_zero(usage: dict[str, Any]) -> None:
    found = Usage.from_openai(usage)
    if found is None:
        return
    assert min(astuple(found)) >= 0
    assert found.image_input_tokens + found.audio_input_tokens <= found.input_tokens
    assert found.cached_write_1h_tokens <= found.cached_write_tokens
    output_parts = found.reasoning_tokens + found.image_output_tokens + found.audio_output_tokens
    assert output_parts <= found.output_tokens
    told = usage.get("prompt_tokens")
    if type(told) is int and told >= 0:
        assert found.input_tokens + found.cached_read_tokens + found.cached_write_tokens == told


@pytest.mark.parametrize(
    ("usage", "count"),
    [
        ({"search_units": 3}, 3),
        ({"search_units": 0}, 1),
        ({"total_tokens": 9}, 1),
        (None, 1),
        ({"search_units": 10**30}, MOST_REQUESTS),
    ],
)
def test_a_reranker_is_charged_by_its_searches(usage: Any, count: int) -> None:
    assert requests_of(usage) == count


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


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # ai.google.dev/api/generate-content: the cached are within the prompt, the thoughts beside the answer
        (
            gemini_answer.to_usage(
                {
                    "promptTokenCount": 300,
                    "cachedContentTokenCount": 120,
                    "promptTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 40},
                        {"modality": "AUDIO", "tokenCount": 200},
                        {"modality": "IMAGE", "tokenCount": 60},
                    ],
                    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 120}],
                    "candidatesTokenCount": 50,
                    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 30}],
                    "thoughtsTokenCount": 25,
                    "totalTokenCount": 375,
                }
            ),
            Usage(180, 120, 0, 75, 25, image_input_tokens=60, audio_input_tokens=80, image_output_tokens=30),
        ),
        (anthropic_answer.to_usage(OF_ANTHROPIC), KEPT_FOR_AN_HOUR),
        (
            bedrock_answer.to_usage(
                {
                    "inputTokens": 10,
                    "cacheReadInputTokens": 30,
                    "cacheWriteInputTokens": 60,
                    "cacheDetails": [{"ttl": "1h", "inputTokens": 40}, {"ttl": "5m", "inputTokens": 20}],
                    "outputTokens": 7,
                }
            ),
            KEPT_FOR_AN_HOUR,
        ),
        (ollama_answer.to_usage({"prompt_eval_count": 26, "eval_count": 298}), Usage(26, 0, 0, 298)),
        # Cohere's, Voyage's and Jina's rerankers and embeddings
        ({"prompt_tokens": 12, "total_tokens": 12, "search_units": 1}, Usage(12)),
        ({"total_tokens": 26}, Usage(26)),
    ],
)
def test_each_vendors_own_figures_become_the_same_buckets(told: dict[str, Any], expected: Usage) -> None:
    assert Usage.from_openai(told) == expected
