"""/v1/charges and /v1/redeem: each call explained to who made it, and money from codes."""

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import OperationalError, connection

from accounts.models import ApiKey, Charge, Limit, Payment, RedemptionCode, WrongCode
from accounts.services import codes, payments
from accounts.services.ledger.audit import audit
from gateway.dialects.openai import charges
from tests import factories
from tests.accounts import charged
from tests.accounts.charged import CASES, Read, differences
from tests.gateway.openai.conftest import Api
from tests.gateway.openai.test_refusals import error_of


def usd(text: str | None) -> Decimal:
    return Decimal(text or 0)


def read(told: dict[str, Any]) -> Read:
    def share(payer: str) -> tuple[Decimal, Decimal | None, Decimal | None]:
        each = next(each for each in told["paid"] if each["by"] == payer)
        return usd(each["usd"]), usd(each["before_usd"]), usd(each["after_usd"])

    lines = [(each["quantity"], usd(each["price_usd_per_million"]), usd(each["cost_usd"])) for each in told["lines"]]
    fee, shortfall = usd(told["fee_usd"]), usd(told["shortfall_usd"])
    return Read(lines, usd(told["cost_usd"]), fee, shortfall, share("quota"), share("balance"))


@pytest.fixture
def boss(api: Api) -> str:
    """An admin's secret."""
    return factories.key(role="admin").secret


# One charge


@pytest.mark.parametrize("case", CASES)
def test_anybody_can_compute_the_fee_by_hand(api: Api, boss: str, case: str) -> None:
    charge = CASES[case]()
    answer = api.get(f"charges/{charge.request_id}", boss)
    assert answer.status_code == 200
    told = answer.json()
    assert told["adds_up"] is True
    assert differences(read(told), charge) == []


def test_a_caller_finds_what_a_call_came_to_by_its_request_id(api: Api) -> None:
    call = api.chat(max_tokens=5)
    answer = api.get(f"charges/{call['x-request-id']}")
    told = answer.json()
    assert (told["id"], told["object"], told["model"]) == (call["x-request-id"], "charge", "echo")
    assert told["fee_usd"] == call["x-weighbridge-cost"]
    usage = call.json()["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert told["why"] == ["The answer came whole.", "The counts are the upstream's own."]
    assert told["tries"] == [f"echo@{told['provider']}"]
    assert told["hold"]["prompt_tokens"] > 0
    assert differences(read(told), Charge.objects.get()) == []


def test_a_stream_that_broke_says_why_it_is_charged(api: Api) -> None:
    api.chat("cut", stream=True).getvalue()
    told = api.get(f"charges/{Charge.objects.get().request_id}").json()
    assert told["outcome"] == "upstream_error"
    assert "broke off in the middle" in told["why"][0]
    assert told["error"]


def test_a_limit_is_told_with_its_state(api: Api) -> None:
    Limit.objects.create(name="bursts", metric="requests", window="minute", most_count=10)
    for _ in range(2):
        assert api.chat().status_code == 200
    (limit,) = api.get(f"charges/{Charge.objects.latest('id').request_id}").json()["limits"]
    told = (limit["name"], limit["most"], limit["used_before"], limit["held"], limit["used"], limit["used_after"])
    assert told == ("bursts", 10, 1, 1, 1, 2)


def test_only_its_key_and_admins_see_a_charge(api: Api, boss: str) -> None:
    charge_id = api.chat()["x-request-id"]
    stranger = factories.key().secret
    assert error_of(api.get(f"charges/{charge_id}", stranger), 404)["code"] == "charge_not_found"
    assert api.get(f"charges/{charge_id}", boss).status_code == 200
    assert error_of(api.get(f"charges/{charge_id}", "wb-wrong"), 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("name", ["req_none", "%00", "a/b/c", "x" * 3000, "%F0%9F%8D%8E", "%FF"])
def test_no_such_charge(api: Api, name: str) -> None:
    assert error_of(api.get(f"charges/{name}"), 404)["code"] == "charge_not_found"


def test_a_refund_is_told_without_who_made_it(api: Api, boss: str) -> None:
    charge = charged.split_over_quota_and_balance()
    payments.refund(charge=charge, note="was slow", by=payments.Maker(name="boss"))
    told = api.get(f"charges/{charge.request_id}", boss).json()
    (payment,) = told["payments"]
    assert (payment["kind"], payment["usd"], payment["note"]) == ("refund", "0.0081", "was slow")
    assert "boss" not in str(told)


def test_explaining_takes_few_queries(api: Api, django_assert_max_num_queries: Any) -> None:
    charge_id = api.chat()["x-request-id"]
    with django_assert_max_num_queries(6):
        api.get(f"charges/{charge_id}")
    with django_assert_max_num_queries(5):
        api.get("charges")


# The list


def test_a_key_s_own_charges_newest_first_page_by_page(api: Api) -> None:
    made = [api.chat()["x-request-id"] for _ in range(5)]
    api.chat(secret=factories.key().secret)
    seen: list[str] = []
    after = ""
    while True:
        page = api.get(f"charges?limit=2{after}").json()
        seen += [each["id"] for each in page["data"]]
        assert page["first_id"] == page["data"][0]["id"]
        after = f"&after={page['last_id']}"
        if not page["has_more"]:
            break
    assert seen == made[::-1]
    assert api.get(f"charges{after.replace('&', '?')}").json() == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "", "1.5", "٣", "9" * 5000])
def test_a_wrong_limit(api: Api, limit: str) -> None:
    assert error_of(api.get(f"charges?limit={limit}"), 400)["param"] == "limit"


@pytest.mark.parametrize("after", ["req_none", "%00", "7"])
def test_a_wrong_cursor(api: Api, after: str) -> None:
    assert error_of(api.get(f"charges?after={after}"), 400)["param"] == "after"


def test_another_key_s_charge_is_no_cursor(api: Api) -> None:
    theirs = api.chat(secret=factories.key().secret)["x-request-id"]
    assert error_of(api.get(f"charges?after={theirs}"), 400)["param"] == "after"


def test_other_methods_are_refused(api: Api) -> None:
    assert error_of(api.post("charges", {}), 405)["code"] == "method_not_allowed"
    assert error_of(api.post("charges/req_1", {}), 405)["code"] == "method_not_allowed"
    assert error_of(api.get("redeem"), 405)["code"] == "method_not_allowed"


# Codes


def make(**fields: Any) -> str:
    return codes.make(**{"amount": Decimal(5), "count": 1, "batch": "spring", **fields})[0]


def test_a_code_s_money_is_on_the_key_s_balance(api: Api) -> None:
    answer = api.post("redeem", {"code": make()})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["object"], told["kind"], told["usd"], told["balance_usd"]) == (
        "redemption", "redemption", "5.00", "5.00",
    )  # fmt: skip
    assert ApiKey.objects.get(pk=api.alice.key.pk).balance == 5
    assert audit() == []


def test_a_database_that_goes_away_in_the_middle_is_a_503(api: Api) -> None:
    def gone(execute: Any, sql: str, *rest: Any) -> Any:
        if RedemptionCode._meta.db_table in sql:
            raise OperationalError("terminating connection due to administrator command")
        return execute(sql, *rest)

    code = make()
    with connection.execute_wrapper(gone):
        answer = api.post("redeem", {"code": code})
    assert error_of(answer, 503)["code"] == "ledger_unavailable"
    assert "administrator" not in answer.content.decode()
    assert answer["retry-after"] == "2"


def test_a_drained_key_calls_again(api: Api) -> None:
    poor = factories.key(month_quota=Decimal(0))
    assert api.chat(secret=poor.secret).status_code == 429
    assert api.post("redeem", {"code": make()}, poor.secret).status_code == 200
    assert api.chat(secret=poor.secret).status_code == 200


def test_each_refusal_has_its_code_and_pays_nothing(api: Api) -> None:
    used, void, expired = make(), make(), make()
    codes.redeem(key=factories.key().key, text=used)
    codes.void(codes=RedemptionCode.objects.filter(digest=codes._digest(void)))
    RedemptionCode.objects.filter(digest=codes._digest(expired)).update(expires_at="2020-01-01T00:00Z")
    for text, code in (
        (used, "code_used"),
        (void, "code_void"),
        (expired, "code_expired"),
        ("ABCD-EFGH", "code_unknown"),
        ("\0", "code_unknown"),
        ("é", "code_unknown"),
    ):
        assert error_of(api.post("redeem", {"code": text}), 400)["code"] == code
    unlimited = factories.key(month_quota=None).secret
    assert error_of(api.post("redeem", {"code": make()}, unlimited), 400)["code"] == "key_without_limit"
    assert Payment.objects.filter(key=api.alice.key).count() == 0


def test_whoever_guesses_is_told_to_wait(api: Api) -> None:
    good = make()
    for _ in range(codes.TRIES):
        error_of(api.post("redeem", {"code": "ABCD-EFGH"}), 400)
    answer = api.post("redeem", {"code": good})
    assert error_of(answer, 429)["code"] == "too_many_tries"
    assert 3500 < int(answer["retry-after"]) <= 3600
    assert answer["x-should-retry"] == "false"


@pytest.mark.parametrize("body", [{}, {"code": None}, {"code": 7}, {"code": ""}, {"code": "A" * 101}, {"code": ["A"]}])
def test_a_body_without_a_code(api: Api, body: Any) -> None:
    assert error_of(api.post("redeem", body), 400)["param"] == "code"
    assert not WrongCode.objects.exists()


def test_a_code_needs_a_key(api: Api) -> None:
    code = make()
    assert error_of(api.post("redeem", {"code": code}, "wb-wrong"), 401)["code"] == "invalid_api_key"
    assert error_of(api.client.post("/v1/redeem", {"code": code}, content_type="application/json"), 401)
    assert RedemptionCode.objects.filter(redeemed_at=None).count() == 1


# The document


def test_what_is_answered_is_what_is_described(api: Api) -> None:
    out = StringIO()
    call_command("spectacular", stdout=out)
    schemas = yaml.safe_load(out.getvalue())["components"]["schemas"]
    api.chat()
    page = api.get("charges").json()
    told = api.get(f"charges/{page['data'][0]['id']}").json()
    redeemed = api.post("redeem", {"code": make()}).json()
    for name, content in (
        ("ChargeList", page),
        ("ChargeSummary", page["data"][0]),
        ("Charge", told),
        ("Redemption", redeemed),
    ):
        assert set(schemas[name]["properties"]) == set(content), name
    lines = schemas["Charge"]["properties"]["lines"]["items"]["properties"]
    assert all(set(lines) == set(line) for line in told["lines"])
    assert charges.LONGEST_PAGE == 100
