"""What calls came to: sums over days, providers, models and people; and each call."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Charge, Outcome, State, User
from providers.models import AIModel
from tests import factories
from tests.console.rows import charge, save
from tests.gateway.providers_api.conftest import Api, of_user


@pytest.fixture
def history(bob: User) -> dict[str, Any]:
    """Bob: two calls of alpha on the 1st and one of beta on the 2nd; somebody else: one of alpha on the 3rd."""
    east, west = factories.provider(name="east"), factories.provider(name="west")
    alpha, beta = factories.model(east, "alpha"), factories.model(west, "beta", price_in=Decimal("0.0003"))
    bobs, others = factories.key(owner=bob).key, factories.key().key
    _save(bobs, alpha, 1, request_id="req_first")
    _save(bobs, alpha, 1, cached_read_tokens=50, cached_write_tokens=5, total_ms=10)
    _save(bobs, beta, 2, outcome=Outcome.UPSTREAM_ERROR, error="upstream answered 500")
    _save(others, alpha, 3, fee=0, quota_fee=0, input_tokens=0, output_tokens=0)
    return {"bobs": bobs, "bob": f"user-{bob.uuid.hex}", "others": others}


def _save(key: Any, model: AIModel, day: int, **fields: Any) -> None:
    row = charge(key, model, **fields)
    save([row], [datetime(2025, 1, day, 23, 30, tzinfo=UTC)])


def exact(api: Api, path: str, **query: Any) -> Any:
    """With numbers as they are written, which a float would round."""
    answer = Client(headers=api.headers).get(f"/api{path}", query_params=query)
    assert answer.status_code == 200
    return json.loads(answer.content, parse_float=Decimal)


ALPHA, BETA = Decimal("0.0014"), Decimal("0.0004003")


def test_the_overview_sums_all(api: Api, history: dict[str, Any]) -> None:
    counts = {"totalRequests": 4, "permitCount": 4, "forbidCount": 0}
    assert exact(api, "/stats/overview") == {**counts, "totalCost": 2 * ALPHA + BETA}


def test_a_call_that_runs_counts_in_no_sum(api: Api, history: dict[str, Any]) -> None:
    before = exact(api, "/stats/overview")
    model = AIModel.objects.get(name="alpha")
    _save(history["bobs"], model, 3, state=State.HELD, fee=0, quota_fee=0, outcome=Outcome.RUNNING)
    assert exact(api, "/stats/overview") == exact(api, "/stats/overview", startDate="2024-12-31T12:00:00Z") == before
    assert exact(api, "/audit")["total"] == 5


def test_nothing_comes_to_nothing(api: Api) -> None:
    assert api.get("/stats/overview")[1] == {"totalRequests": 0, "permitCount": 0, "forbidCount": 0, "totalCost": 0}
    assert api.get("/costs/summary")[1]["data"][0]["avg_cost_per_request"] == 0
    assert api.get("/costs/summary", groupBy="day") == (200, {"data": []})
    assert api.get("/audit") == (200, {"data": [], "count": 0, "total": 0})
    assert api.get("/audit/statistics") == (200, {"data": []})


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"startDate": "2025-01-02"}, 2),
        ({"endDate": "2025-01-02"}, 3),
        ({"startDate": "2025-01-02", "endDate": "2025-01-02"}, 1),
        ({"endDate": "2025-01-02T23:30:00Z"}, 2),
        ({"startDate": "2025-01-02 23:30:00"}, 2),
        ({"startDate": "2025-01-03T00:30:00+01:00"}, 2),
        ({"startDate": "2025-01-03T00:31:00.000+01:00"}, 1),
        ({"startDate": "", "endDate": ""}, 4),
        ({"startDate": "0001-01-01", "endDate": "9999-12-31"}, 4),
        ({"startDate": "0001-01-01T00:00:00+14:00", "endDate": "9999-12-31T23:59:59-14:00"}, 4),
    ],
)
def test_days_are_included_and_times_are_not(
    api: Api, history: dict[str, Any], query: dict[str, str], count: int
) -> None:
    assert api.get("/stats/overview", **query)[1]["totalRequests"] == count


@pytest.mark.parametrize("path", ["/stats/overview", "/costs/summary", "/audit", "/audit/statistics"])
@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "2025-02-30", "2025-01-01T25:00:00", "1735689600", "\0"])
def test_what_is_no_day_is_refused(api: Api, path: str, text: str) -> None:
    for name in ("startDate", "endDate"):
        status, content = api.get(path, **{name: text})
        assert (status, content["code"]) == (400, "INVALID_REQUEST")
        assert content["error"].startswith(name)


def test_costs_are_one_row_unless_grouped(api: Api, history: dict[str, Any]) -> None:
    total = 2 * ALPHA + BETA
    row = {"request_count": 4, "total_input_tokens": 3055, "total_output_tokens": 600, "total_cost": total}
    assert exact(api, "/costs/summary") == {"data": [{**row, "avg_cost_per_request": Decimal("0.000800075")}]}


@pytest.mark.parametrize(
    ("group", "name", "expected"),
    [
        ("day", "period", {"2025-01-01": (2, 2 * ALPHA), "2025-01-02": (1, BETA), "2025-01-03": (1, 0)}),
        ("provider", "provider", {"east": (3, 2 * ALPHA), "west": (1, BETA)}),
        ("model", "model_used", {"alpha": (3, 2 * ALPHA), "beta": (1, BETA)}),
    ],
)
def test_costs_are_grouped(api: Api, history: dict[str, Any], group: str, name: str, expected: dict[str, Any]) -> None:
    rows = exact(api, "/costs/summary", groupBy=group)["data"]
    assert {row[name]: (row["request_count"], row["total_cost"]) for row in rows} == expected
    assert [row[name] for row in rows] == sorted(expected)


def test_another_grouping_is_refused(api: Api) -> None:
    assert api.get("/costs/summary", groupBy="user")[0] == 400


def test_costs_are_those_of_a_person_a_key_a_provider_or_a_model(api: Api, history: dict[str, Any]) -> None:
    queries = [
        ({"executionKey": history["bob"]}, 3),
        ({"executionKey": str(history["bobs"].pk)}, 3),
        ({"executionKey": "unknown"}, 0),
        ({"executionKey": "9" * 40}, 0),
        ({"provider": "west"}, 1),
        ({"model": "alpha"}, 3),
        ({"model": "alpha", "executionKey": history["bob"], "startDate": "2025-01-02"}, 0),
    ]
    for query, count in queries:
        assert api.get("/costs/summary", **query)[1]["data"][0]["request_count"] == count


def test_deleted_providers_keep_their_costs(api: Api, history: dict[str, Any]) -> None:
    before = exact(api, "/costs/summary", groupBy="provider")
    assert api.delete("/providers/west") == (200, {"success": True})
    assert exact(api, "/costs/summary", groupBy="provider") == before


def test_a_call_is_shown_with_all_that_it_came_to(api: Api, history: dict[str, Any]) -> None:
    shown = exact(api, "/audit", search="req_first")["data"]
    assert shown == [
        {
            "id": Charge.objects.get(request_id="req_first").pk,
            "request_id": "req_first",
            "request_timestamp": "2025-01-01 23:30:00",
            "auth_id": history["bob"],
            "api_key_id": history["bobs"].pk,
            "api_key_suffix": history["bobs"].suffix,
            "decision": "permit",
            "action": "chat",
            "provider": "east",
            "model": "alpha",
            "status": "ok",
            "error": None,
            "input_tokens": 1000,
            "output_tokens": 200,
            "spend": ALPHA,
            "total_ms": 1830,
        }
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"authId": "{bob}"}, 3),
        ({"apiKeyId": "{others}"}, 1),
        ({"authId": "{bob}", "apiKeyId": "{others}"}, 0),
        ({"authId": "unknown"}, 0),
        ({"provider": "west"}, 1),
        ({"model": "alpha", "startDate": "2025-01-02"}, 1),
        ({"decision": "permit"}, 4),
        ({"decision": "forbid"}, 0),
        ({"search": "FIRST"}, 1),
        ({"search": "ALPH"}, 3),
        ({"search": "%"}, 0),
    ],
)
def test_calls_are_found_by_each_bound(api: Api, history: dict[str, Any], query: dict[str, str], count: int) -> None:
    names = {"bob": history["bob"], "others": history["others"].pk}
    filled = {name: text.format(**names) for name, text in query.items()}
    content = api.get("/audit", **filled)[1]
    assert (content["count"], content["total"], len(content["data"])) == (count, count, count)


def test_calls_come_ten_at_a_time_the_newest_first(api: Api) -> None:
    model, key = factories.model(factories.provider()), factories.key().key
    Charge.objects.bulk_create(charge(key, model) for _ in range(12))
    content = api.get("/audit")[1]
    ids = [each["id"] for each in content["data"]]
    assert (content["count"], content["total"]) == (10, 12)
    assert ids == sorted(ids, reverse=True)
    assert api.get("/audit", offset=10)[1]["count"] == 2
    assert api.get("/audit", limit=12)[1]["count"] == 12


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"sortBy": "spend", "sortOrder": "desc"}, ["alpha", "alpha", "beta", "alpha"]),
        ({"sortBy": "model", "sortOrder": "asc"}, ["alpha", "alpha", "alpha", "beta"]),
        ({"sortBy": "request_timestamp", "sortOrder": "asc"}, ["alpha", "alpha", "beta", "alpha"]),
        ({"sortBy": "hold", "sortOrder": "asc"}, ["alpha", "beta", "alpha", "alpha"]),
    ],
)
def test_calls_are_sorted_by_known_words_alone(
    api: Api, history: dict[str, Any], query: dict[str, str], names: list[str]
) -> None:
    assert [each["model"] for each in api.get("/audit", **query)[1]["data"]] == names


def test_statistics_are_a_row_for_each_provider_and_model(api: Api, history: dict[str, Any]) -> None:
    rows = exact(api, "/audit/statistics")["data"]
    assert [(row["provider"], row["model"], row["request_count"]) for row in rows] == [
        ("east", "alpha", 3),
        ("west", "beta", 1),
    ]


def test_money_beyond_what_a_float_holds_is_told_exactly(api: Api) -> None:
    fee = Decimal("12345678.1234567891")
    model, key = factories.model(factories.provider()), factories.key(month_quota=None).key
    save([charge(key, model, fee=fee, quota_fee=fee)], [timezone.now()])
    assert exact(api, "/stats/overview")["totalCost"] == fee


def test_somebody_sees_what_their_own_calls_came_to(bob: User, history: dict[str, Any]) -> None:
    assert exact(of_user(bob), "/me/usage")["usage"] == {
        "totalRequests": 3,
        "requestsToday": 0,
        "requestsThisMonth": 0,
        "totalInputTokens": 3055,
        "totalOutputTokens": 600,
        "currentDailySpend": 0,
        "currentMonthlySpend": 0,
        "totalSpend": 2 * ALPHA + BETA,
    }
    model = AIModel.objects.get(name="alpha")
    yesterday = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)
    save([charge(history["bobs"], model) for _ in range(2)], [timezone.now(), yesterday])
    usage = of_user(bob).get("/me/usage")[1]["usage"]
    assert (usage["totalRequests"], usage["requestsToday"]) == (5, 1)
    assert usage["requestsThisMonth"] == (2 if yesterday.month == timezone.localtime().month else 1)
    assert orjson.dumps(usage["currentDailySpend"]) == b"0.0014"
