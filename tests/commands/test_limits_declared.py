"""Limits in the set-up's file: exported, imported, changed, and wrong in many ways; and budgets of LiteLLM's file."""

from decimal import Decimal
from typing import Any

import pytest
import yaml
from django.db import models

from accounts.models import Group, Limit, LimitCounter, Metric, Subject, Window
from accounts.models.limits import NO_START
from accounts.services import limits
from gateway.declaration import export, litellm
from gateway.declaration.fields import codec_of, fields_of
from providers.models import Provider
from tests import factories
from tests.commands.declaring import Run
from tests.fakes.webhook import SECRET

pytestmark = pytest.mark.usefixtures("database", "acme_key")

HOOK = "https://ops.example/hooks"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("WEIGHBRIDGE_LIMIT_TOLD", SECRET)


def exported() -> Any:
    return yaml.safe_load(export.dump(export.export()))


def of(*rows: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"version": 1, **sections, "limits": list(rows)}


def row(**fields: Any) -> dict[str, Any]:
    return {"name": "limit", "subject": "everyone", "metric": "requests", "most_count": 10, **fields}


def rich() -> None:
    key = factories.key(name="alice").key
    group, provider = factories.group(name="team"), factories.provider(name="acme")
    limits.add(name="a key's", subject=Subject.KEY, key=key, most=Decimal("0.0000000001"), window=Window.DAY)
    limits.add(name="a group's", subject=Subject.GROUP, group=group, metric=Metric.TOKENS, most=5, is_sliding=True)
    limits.add(name="a provider's", subject=Subject.PROVIDER, provider=provider, metric=Metric.PARALLEL, most=3)
    limits.add(name="each e-mail's", subject=Subject.EMAIL, most=Decimal(2), action="warn", thresholds=[])
    limits.add(
        name="told", subject=Subject.TAG, value="a/b", most=Decimal(2), is_enabled=False, thresholds=[10, 20],
        notify_url=HOOK, notify_secret=SECRET, notify_email="ops@example.com",
    )  # fmt: skip


def test_limits_go_out_and_come_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rich()
    before = exported()
    assert SECRET not in str(before)
    assert [each["name"] for each in before["limits"]] == [
        "a group's",
        "a key's",
        "a provider's",
        "each e-mail's",
        "told",
    ]
    assert before["limits"][-1] == {
        "name": "told", "subject": "tag", "value": "a/b", "metric": "cost", "window": "month", "most_cost": "2.00",
        "thresholds": [10, 20], "notify_url": HOOK, "notify_email": "ops@example.com", "is_enabled": False,
        "secret": "env:WEIGHBRIDGE_LIMIT_TOLD",
    }  # fmt: skip
    assert run(before).splitlines()[-1] == "No changes."
    monkeypatch.setenv("WEIGHBRIDGE_ACME_DEFAULT", "sk-x")
    Limit.objects.all().delete()
    Group.objects.all().delete()
    Provider.objects.all().delete()
    run(before)
    assert exported() == before
    assert Limit.objects.get(name="told").notify_secret == SECRET
    assert run(before) == "No changes.\n"


def test_every_field_that_is_edited_can_be_written() -> None:
    edited = {field.name for field in Limit._meta.concrete_fields if field.editable and not field.primary_key}
    assert set(fields_of(Limit)) == edited - {"key", "group", "provider", "notify_secret"}
    assert all(codec_of(field) for field in fields_of(Limit).values())
    assert {field.name for field in Limit._meta.concrete_fields if isinstance(field, models.ForeignKey)} == {
        "key", "group", "provider",
    }  # fmt: skip


def test_a_limit_is_about_what_the_same_file_makes(run: Run) -> None:
    run(of(row(subject="group", group="new"), groups=[{"name": "new"}]))
    assert Limit.objects.get().group == Group.objects.get(name="new")


def test_a_change_keeps_what_was_counted_and_another_subject_begins_anew(run: Run) -> None:
    run(of(row(window="total")))
    first = Limit.objects.get()
    LimitCounter.objects.create(limit=first, starts_at=NO_START, used=4)
    printed = run(of(row(window="total", most_count=20)))
    assert "most_count: 10 -> 20" in printed
    assert Limit.objects.get() == first
    printed = run(of(row(window="total", most_count=20, metric="tokens")))
    assert "counts something else" in printed
    second = Limit.objects.get()
    assert second.metric == "tokens" and second.pk != first.pk
    assert not LimitCounter.objects.filter(limit=second).exists()


def test_a_secret_is_kept_and_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = row(notify_url=HOOK, secret="env:HOOK_SECRET")
    run(of(declared))
    monkeypatch.delenv("HOOK_SECRET")
    assert "keeps its stored secret" in run(of(declared))
    assert "begins" not in run(of({**declared, "metric": "tokens"}))  # the new row has it as well
    assert Limit.objects.get().notify_secret == SECRET
    monkeypatch.setenv("HOOK_SECRET", "whsec_" + "A" * 24)
    assert "secret: replaced" in run(of({**declared, "metric": "tokens"}))
    assert Limit.objects.get().notify_secret == "whsec_" + "A" * 24


def test_pruning_removes_the_others(run: Run) -> None:
    run(of(row(name="a"), row(name="b")))
    run(of(row(name="a")))
    assert Limit.objects.count() == 2
    run(of(row(name="a")), "--prune")
    assert Limit.objects.get().name == "a"


def test_a_key_s_limit_is_left_out_where_there_is_no_such_key(run: Run) -> None:
    assert "there is no such key: gone" in run(of(row(subject="key", key="gone")))
    assert not Limit.objects.exists()
    for _ in range(2):
        factories.key(name="twin")
    assert "several keys are called so: twin" in run(of(row(subject="key", key="twin")))


def test_of_keys_of_one_name_the_start_is_exported(run: Run) -> None:
    keys = [factories.key(name="twin").key for _ in range(2)]
    limits.add(name="limit", subject=Subject.KEY, key=keys[1], most=1, metric=Metric.REQUESTS)
    assert exported()["limits"][0]["key"] == keys[1].prefix
    assert run(exported()).splitlines()[-1] == "No changes."


def test_parallel_calls_have_no_window(run: Run) -> None:
    run(of(row(metric="parallel")))
    assert Limit.objects.get().window == "total"
    assert run(of(row(metric="parallel"))) == "No changes.\n"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"metric": "cost"}, "limits[0].most_cost: Give an amount"),
        ({"most_count": "10"}, "limits[0].most_count: must be a whole number, not a text"),
        ({"most_count": -1}, "limits[0].most_count: "),
        ({"thresholds": [0]}, "limits[0].thresholds: Give a list of whole numbers"),
        ({"thresholds": {"a": 1}}, "limits[0].thresholds: must be a list, not an object"),
        ({"subject": "team"}, "limits[0].subject: "),
        ({"value": "x"}, "limits[0].value: "),
        ({"subject": "group", "group": "none"}, "limits[0].group: there is no such group as none"),
        ({"subject": "provider", "provider": "none"}, "limits[0].provider: there is no such provider as none"),
        ({"group": "none"}, "limits[0].group: is for a limit with that subject"),
        ({"subject": "group", "group": 7}, "limits[0].group: must be a text"),
        ({"notify_url": HOOK}, "limits[0].secret: is missing"),
        ({"notify_url": HOOK, "secret": "env:NOT_SET"}, "limits[0].secret: env:NOT_SET is not set"),
        ({"notify_url": HOOK, "secret": "whsec_abc"}, "limits[0].secret: must be a reference"),
        ({"notify_url": HOOK, "secret": "env:ACME_KEY"}, "limits[0].secret: Give the webhook's secret"),
        ({"notify_url": "ftp://ops.example"}, "limits[0].notify_url: "),
        ({"notify_url": "http://169.254.169.254/x"}, "limits[0].notify_url: This address may not be called"),
        ({"notify_email": "nobody"}, "limits[0].notify_email: "),
        ({"is_sliding": True, "window": "total"}, "limits[0].is_sliding: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(run: Run, fields: dict[str, Any], problem: str) -> None:
    said = run.problems(of(row(**fields)))
    assert problem in said
    assert SECRET not in said
    assert not Limit.objects.exists()


def test_no_two_limits_share_a_name(run: Run) -> None:
    assert "limits[1].name: limit is the name of limits[0] already" in run.problems(of(row(), row()))


class TestLiteLLM:
    def converted(self, **sections: Any) -> tuple[list[dict[str, Any]], str]:
        found = litellm.convert({"model_list": [], **sections})
        return found.document["limits"], "\n".join(found.report)

    @pytest.mark.parametrize(
        ("duration", "window"),
        [
            ("30d", "month"),
            ("1mo", "month"),
            ("7d", "week"),
            ("1d", "day"),
            ("24h", "day"),
            ("1h", "hour"),
            (None, "total"),
        ],
    )
    def test_the_proxy_s_budget_is_a_limit_of_everyone(self, duration: str | None, window: str, run: Run) -> None:
        declared, report = self.converted(litellm_settings={"max_budget": 12.5, "budget_duration": duration})
        assert declared == [
            {
                "name": "LiteLLM: max_budget",
                "subject": "everyone",
                "metric": "cost",
                "window": window,
                "most_cost": "12.50",
            }
        ]
        assert report == ""
        run({"version": 1, "limits": declared})
        assert Limit.objects.get().most_cost == Decimal("12.5")

    def test_parallel_calls_and_tags(self, run: Run) -> None:
        tags = {"chat": {"max_budget": 1, "budget_duration": "1d"}, "odd": {"max_budget": "x"}}
        declared, report = self.converted(
            general_settings={"global_max_parallel_requests": 20}, litellm_settings={"tag_budget_config": tags}
        )
        assert [(each["name"], each["metric"], each.get("value")) for each in declared] == [
            ("LiteLLM: global_max_parallel_requests", "parallel", None),
            ("LiteLLM: budget of the tag chat", "cost", "chat"),
        ]
        assert "litellm_settings.tag_budget_config.odd: left out" in report
        run({"version": 1, "limits": declared})
        assert Limit.objects.count() == 2

    def test_what_has_no_place_is_listed(self) -> None:
        declared, report = self.converted(
            litellm_settings={"max_budget": 5, "budget_duration": "3d", "max_end_user_budget": 1},
            general_settings={"max_parallel_requests": 3},
            router_settings={"provider_budget_config": {"openai": {}}},
        )
        assert declared == []
        for place in (
            "litellm_settings.max_budget: left out",
            "litellm_settings.max_end_user_budget: ",
            "general_settings.max_parallel_requests: ",
            "router_settings.provider_budget_config: ",
        ):
            assert place in report
