"""A model's extra arguments: which are sent, which steer, and which no row may have."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from common.models import ConfigVersion
from providers import policies
from providers.models import AIModel, Provider
from providers.services import routing
from providers.services.routing import Target
from tests import factories

JSON = dict[str, Any]


@pytest.fixture(autouse=True)
def _version(db: None) -> None:
    ConfigVersion.objects.get_or_create(pk=1)


def target(extra_args: Any, kind: str = "llm", **fields: Any) -> Target:
    provider = factories.provider(connect_timeout=9, first_byte_timeout=80, idle_timeout=70, total_timeout=600)
    model = factories.model(provider, kind=kind, extra_args=extra_args, **fields)
    return routing.target_of(model, routing.accesses_of(provider))


def timers(found: Target) -> tuple[float, float, float, float]:
    used = found.accesses[0].requester.endpoint.timeouts
    assert used == found.timeouts
    return used.connect, used.first_byte, used.idle, used.total


def refused(extra_args: Any, kind: str = "llm", **provider: Any) -> list[str]:
    row = factories.provider(**provider)
    try:
        AIModel(provider=row, name="m", upstream_name="m", kind=kind, extra_args=extra_args).full_clean()
    except ValidationError as error:
        return error.message_dict["extra_args"]
    return []


class TestWhatSteers:
    @pytest.mark.parametrize(
        ("extra_args", "expected"),
        [
            ({}, (9, 80, 70, 600)),
            ({"timeout": 5}, (9, 5, 5, 600)),
            ({"timeout": 500}, (9, 80, 70, 600)),
            ({"timeout": None}, (9, 80, 70, 600)),
            ({"request_policy": {"read_timeout": 4}}, (9, 4, 4, 600)),
            ({"timeout": 5, "request_policy": {"stream_idle_timeout": 6}}, (9, 5, 6, 600)),
            ({"request_policy": {"first_event_timeout": 3, "read_timeout": 4}}, (9, 3, 4, 600)),
            ({"request_policy": {"connect_timeout": 1, "total_timeout": 30.5}}, (1, 80, 70, 30.5)),
            ({"request_policy": {"write_timeout": 1, "pool_timeout": 1}}, (9, 80, 70, 600)),
        ],
    )
    def test_a_row_s_timeouts_hold_within_its_provider_s(self, extra_args: JSON, expected: Any) -> None:
        found = target(extra_args)
        assert timers(found) == expected
        assert found.extra_args == {}

    def test_other_rows_of_the_provider_keep_its_patience(self) -> None:
        provider = factories.provider(first_byte_timeout=80)
        accesses = routing.accesses_of(provider)
        hasty = routing.target_of(factories.model(provider, "a", extra_args={"timeout": 5}), accesses)
        calm = routing.target_of(factories.model(provider, "b"), accesses)
        assert [each.accesses[0].requester.endpoint.timeouts.first_byte for each in (hasty, calm)] == [5, 80]
        assert hasty.accesses[0].key_id == calm.accesses[0].key_id is not None

    @pytest.mark.parametrize(
        ("extra_args", "retries"),
        [
            ({}, 2),
            ({"max_retries": 0}, 0),
            ({"num_retries": 4}, 4),
            ({"num_retries": 4, "max_retries": 1}, 4),
            ({"num_retries": 4, "request_policy": {"retries": 3}}, 3),
        ],
    )
    def test_its_retries_stand_in_for_the_provider_s(self, extra_args: JSON, retries: int) -> None:
        assert target(extra_args).retries == retries

    def test_its_pauses_stand_in_for_the_usual_ones(self) -> None:
        usual, own = target({}), target({"request_policy": {"backoff_base": 2, "backoff_max": 30}})
        assert (usual.first_pause, usual.longest_pause) == (0.25, 5)
        assert (own.first_pause, own.longest_pause) == (2, 30)

    @pytest.mark.parametrize(
        ("reasoning", "effort"),
        [
            ({"level": "provider_default"}, ""),
            ({"level": "disabled"}, "none"),
            ({"level": "low"}, "low"),
            ({"level": "max"}, "xhigh"),
            ({"level": "enabled"}, "medium"),
            ({"level": "enabled", "budget_tokens": 1000}, "minimal"),
            ({"level": "enabled", "budget_tokens": 2048}, "low"),
            ({"level": "enabled", "budget_tokens": 16384}, "medium"),
            ({"level": "enabled", "budget_tokens": 10**400}, "high"),
        ],
    )
    def test_a_reasoning_level_is_an_effort(self, reasoning: JSON, effort: str) -> None:
        found = target({"reasoning_config": reasoning, "top_p": 1})
        assert (found.reasoning_effort, found.extra_args) == (effort, {"top_p": 1})

    def test_a_level_goes_before_the_row_s_own_effort(self) -> None:
        assert target({"reasoning_config": {"level": "low"}}, reasoning_effort="high").reasoning_effort == "low"
        assert target({"reasoning_config": {"level": "provider_default"}}, reasoning_effort="high").reasoning_effort

    def test_an_extra_body_is_laid_over_the_rest(self) -> None:
        extra_args = {"top_k": 1, "seed": 2, "extra_body": {"top_k": 5, "timeout": 9, "guided": {"json": {}}}}
        found = target(extra_args)
        assert found.extra_args == {"seed": 2, "top_k": 5, "timeout": 9, "guided": {"json": {}}}
        assert timers(found) == (9, 80, 70, 600)

    def test_a_plain_row_s_arguments_are_sent_as_they_are(self) -> None:
        assert target({"seed": 1, "user": "u"}).extra_args == {"seed": 1, "user": "u"}

    @pytest.mark.parametrize(
        "extra_args",
        [
            {"timeout": "soon", "num_retries": 99, "request_policy": "none", "extra_body": [1], "reasoning_config": 5},
            {"request_policy": {"retries": True, "backoff_base": -1, "total_timeout": {}}, "timeout": 10**30},
            {"reasoning_config": {"level": ["high"]}},
            ["seed"],
        ],
    )
    def test_what_is_wrong_with_a_stored_row_stops_no_call(self, extra_args: Any) -> None:
        found = target(extra_args)
        assert (found.extra_args, found.retries, found.reasoning_effort) == ({}, 2, "")
        assert timers(found) == (9, 80, 70, 600)

    def test_odd_abilities_of_a_stored_row_stop_no_call(self) -> None:
        assert target({}, abilities=[["vision"], {}], keeps_to_abilities=True).withholds == {"vision", "func_call"}
        assert target({}, abilities=["vision"], keeps_to_abilities=True).withholds == {"func_call"}
        assert target({}, abilities=[]).withholds == frozenset()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("extra_args", "told"),
        [
            ({"timeout": "5"}, "timeout must be a number of seconds from 0.1 to 86400."),
            ({"timeout": 0}, "timeout must be a number of seconds from 0.1 to 86400."),
            ({"timeout": True}, "timeout must be a number of seconds from 0.1 to 86400."),
            ({"num_retries": 6}, "num_retries must be a whole number from 0 to 5."),
            ({"max_retries": 1.5}, "max_retries must be a whole number from 0 to 5."),
            ({"request_policy": [1]}, "request_policy must be a JSON object."),
            ({"request_policy": {"retries": -1}}, "request_policy.retries must be a whole number from 0 to 5."),
            ({"extra_body": "{}"}, "extra_body must be a JSON object."),
            ({"extra_body": {"n": 5, "stream": True}}, "These are the caller's or the gateway's: n, stream."),
            ({"n": 5}, "These are the caller's or the gateway's: n."),
            ({"reasoning_config": "high"}, "reasoning_config must be a JSON object."),
            (
                {"reasoning_config": {"level": "low", "budget_tokens": 5}},
                "reasoning_config.budget_tokens must be a whole number above 0, with the level enabled.",
            ),
            ({"rerank_path": "rerank"}, "rerank_path: only a rerank model has one."),
        ],
    )
    def test_a_wrong_value_is_named(self, extra_args: JSON, told: str) -> None:
        assert refused(extra_args) == [told]

    @pytest.mark.parametrize("value", [10**400, float("nan")])
    def test_what_is_no_number_of_json_is_a_wrong_value_too(self, value: Any) -> None:
        told = "timeout must be a number of seconds from 0.1 to 86400."
        assert policies.problems({"timeout": value}, "llm", None) == [told]
        assert "JSON" in refused({"timeout": value})[0]

    def test_a_policy_s_unknown_setting_is_named(self) -> None:
        assert refused({"request_policy": {"retires": 1}})[0].startswith("request_policy has no retires: it knows ")

    def test_an_unknown_level_is_refused_with_those_there_are(self) -> None:
        [told] = refused({"reasoning_config": {"level": "huge"}})
        assert told.startswith("reasoning_config.level must be one of provider_default, disabled, enabled, minimal")

    def test_what_is_right_passes(self) -> None:
        policy = dict.fromkeys(policies.SETTINGS, 1) | {"attribution": {"app": "x"}, "conversation_header": "X-Id"}
        assert refused({"request_policy": policy, "timeout": 0.5, "num_retries": 5, "extra_body": {"a": 1}}) == []
        assert refused({"request_policy": None, "timeout": None, "reasoning_config": {}}) == []


class TestWhereARerankerLives:
    @pytest.mark.parametrize(
        "url", ["https://r.test/compatible-api/v1/reranks", "https://R.test:443/x", "https://other.test:8443/rerank"]
    )
    def test_its_url_is_of_its_provider_s_origin_or_one_that_it_names(self, url: str) -> None:
        config = {"allow_rerank_origin": "https://other.test:8443"}
        assert refused({"rerank_url": url}, "rerank", base_url="https://r.test/v1", config=config) == []

    @pytest.mark.parametrize(
        "url", ["https://evil.test/rerank", "http://r.test/rerank", "https://r.test:8443/", "https://r.test@evil.test/"]
    )
    def test_a_url_that_would_take_the_key_elsewhere_is_refused(self, url: str) -> None:
        [told] = refused({"rerank_url": url}, "rerank", base_url="https://r.test/v1")
        assert "rerank_url leads away" in told or "without credentials" in told

    @pytest.mark.parametrize("path", ["rerank", "/v2/rerank", "rerank?kind=fast", ""])
    def test_a_path_below_the_base_url_passes(self, path: str) -> None:
        assert refused({"rerank_path": path}, "rerank") == []

    @pytest.mark.parametrize(
        "path", ["../admin", "a/%2e%2e/b", "a%2F..%2Fb", "a b", "a\\b", "a#b", "https://evil.test/", "a\nb", 5]
    )
    def test_one_that_is_none_is_refused(self, path: Any) -> None:
        assert len(refused({"rerank_path": path}, "rerank")) == 1

    def test_only_the_row_s_say_counts(self) -> None:
        assert target({}, "rerank").pinned == {"rerank_url": None, "rerank_path": None}
        assert target({"rerank_path": "x"}, "rerank").pinned == {"rerank_url": None, "rerank_path": "x"}
        assert target({"rerank_path": "x"}).pinned == {}
        assert target({"rerank_path": "x"}).extra_args == {}


class TestRows:
    def test_a_kind_that_its_provider_can_t_serve_is_refused(self) -> None:
        provider = factories.provider(requester="anthropic-messages", base_url="")
        with pytest.raises(ValidationError, match="does not support embedding models") as refusal:
            AIModel(provider=provider, name="m", kind="embedding").clean()
        assert set(refusal.value.message_dict) == {"kind"}

    def test_one_that_stands_stays_editable_but_can_t_be_moved_there(self) -> None:
        provider = factories.provider(requester="anthropic-messages", base_url="")
        old = factories.model(provider, "old", kind="embedding")
        old.description = "still here"
        old.full_clean()
        moved = factories.model(factories.provider(), "moved", kind="embedding")
        moved.provider = provider
        with pytest.raises(ValidationError, match="does not support embedding models"):
            moved.full_clean()

    @pytest.mark.parametrize("abilities", ["vision", [["vision"]], [1], [""], {"vision": True}])
    def test_abilities_are_a_list_of_texts(self, abilities: Any) -> None:
        with pytest.raises(ValidationError, match="Give a JSON list of abilities"):
            AIModel(provider=factories.provider(), name="m", abilities=abilities).clean()

    @pytest.mark.parametrize(("effort", "is_fine"), [("", True), ("xhigh", True), ("max", False), ("LOW", False)])
    def test_an_effort_is_one_of_six(self, effort: str, is_fine: bool) -> None:
        model = AIModel(provider=factories.provider(), name="m", upstream_name="m", reasoning_effort=effort)
        if is_fine:
            model.full_clean()
            return
        with pytest.raises(ValidationError, match="not a valid choice"):
            model.full_clean()

    def test_a_provider_that_is_gone_is_an_error_of_its_own_field(self) -> None:
        gone = factories.provider()
        model = AIModel(provider_id=gone.pk, name="m", upstream_name="m")
        Provider.objects.all().delete()
        with pytest.raises(ValidationError) as refusal:
            model.full_clean()
        assert set(refusal.value.message_dict) == {"provider"}
