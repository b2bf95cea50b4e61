"""Keys: made, changed, paid for, given new secrets, deleted; and who may do so."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey, Charge, KeyGrant, Payment, Role
from accounts.services.ledger import writer
from accounts.services.ledger.audit import audit
from chat.models import Session, Thread
from chat.services import conversations
from providers.models import AIModel
from tests import factories
from tests.gateway.brconnector.api import Api, at_once

KEYS = "/admin/api-key"
UNKNOWN = "Your key does not exist. If it was just created, please try again after a short wait."


def apply(api: Api, **fields: Any) -> Any:
    return api.post(f"{KEYS}/apply", {"name": "jack", "month_quota": 1, **fields})


def test_a_secret_is_told_once_and_opens_what_it_should(api: Api, model: AIModel) -> None:
    group = factories.group(model)
    made = apply(api, group_id=group.pk)
    secret = made["api_key"]
    assert len(secret) == 32
    assert secret.startswith("br-") and secret[3:].isalnum()
    assert Api(secret).chat().status_code == 200
    assert Api(secret).get("/user/api-key/mine")["id"] == made["id"]
    for path in ("/list", f"/detail/{made['id']}"):
        assert secret not in str(api.get(KEYS + path))
    assert secret not in str(api.post(f"{KEYS}/update", {"id": made["id"], "name": "joe"}))


def test_a_new_key_may_call_nothing_of_its_own(api: Api, model: AIModel) -> None:
    made = apply(api, role="admin", balance=1)
    key = ApiKey.objects.get(pk=made["id"])
    assert (key.all_models, key.grants.count(), key.made_by, key.owner) == (False, 0, None, None)
    assert Api(made["api_key"]).chat().status_code != 200
    assert not Charge.objects.exists()


def test_an_opening_balance_is_a_payment(api: Api) -> None:
    made = apply(api, balance="2.5")
    payment = Payment.objects.get()
    assert (payment.key_id, payment.amount, payment.note) == (made["id"], Decimal("2.5"), "opening balance")
    assert audit() == []


def test_a_refused_application_leaves_nothing(api: Api) -> None:
    for fields in (
        {"balance": -1},
        {"group_id": 77},
        {"email": "x"},
        {"role": "root"},
        {"month_quota": 9e8, "balance": 1},
    ):
        assert api.refusal(f"{KEYS}/apply", {"name": "jack", **fields})
    assert ApiKey.objects.filter(name="jack").count() == Payment.objects.count() == 0


def test_an_update_changes_what_it_names_and_nothing_else(api: Api) -> None:
    made = apply(api, email="jack@example.com", balance=1)
    before = ApiKey.objects.values().get(pk=made["id"])
    whole_row = {**api.get(f"{KEYS}/detail/{made['id']}"), "email": "x@example.com", "balance": "9", "month_quota": "0"}
    api.post(f"{KEYS}/update", whole_row)
    after = ApiKey.objects.values().get(pk=made["id"])
    assert {name for name in after if after[name] != before[name]} == {"month_quota", "updated_at"}
    assert after["month_quota"] == 0


def test_a_key_that_loses_its_limit_keeps_its_balance(api: Api) -> None:
    """It is used again when there is a limit again; meanwhile nothing can be added."""
    made = apply(api, balance=1)
    assert api.post(f"{KEYS}/update", {"id": made["id"], "month_quota": 900_000_000})["balance"] == "1.0000000000"
    assert "no limit" in api.refusal(f"{KEYS}/recharge", {"id": made["id"], "balance": 1})
    api.post(f"{KEYS}/update", {"id": made["id"], "month_quota": 0})
    assert api.post(f"{KEYS}/recharge", {"id": made["id"], "balance": 1})["balance"] == "2.0000000000"
    assert audit() == []


def test_recharges_that_meet_all_count(api: Api) -> None:
    made = apply(api)
    body = {"id": made["id"], "balance": "0.1"}
    answers = at_once(*[lambda: api.send("POST", f"{KEYS}/recharge", body)] * 8)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert api.get(f"{KEYS}/detail/{made['id']}")["balance"] == "0.8000000000"
    assert api.get("/admin/payment/list", key_id=made["id"])["total"] == 8
    assert audit() == []


def test_a_new_secret_stops_the_old_one_at_once(api: Api, model: AIModel) -> None:
    made = apply(api, group_id=factories.group(model).pk)
    old = Api(made["api_key"])
    assert old.chat().status_code == 200  # this process remembers it from now on
    told = api.post(f"{KEYS}/reset-key", {"api_key": old.secret})
    new = Api(told["api_key"])
    assert {**told, "api_key": ""} == {**made, "api_key": ""}
    assert (len(new.secret), new.secret[:3], new.secret != old.secret) == (32, "br-", True)
    assert old.chat().status_code in (400, 401)
    assert old.send("GET", "/user/api-key/mine").json()["data"] == UNKNOWN
    assert new.chat().status_code == 200
    assert new.get("/user/api-key/mine")["total_fee"] != "0.0000000000"


def test_a_deleted_key_leaves_its_money_in_the_ledger_and_nothing_else(api: Api, model: AIModel) -> None:
    made = apply(api, balance=1)
    api.post(f"{KEYS}/bind-or-unbind-model", {"key_id": made["id"], "model_id": model.pk})
    user = Api(made["api_key"])
    for session in ("one", "two", ""):
        assert user.chat(session=session).status_code == 200
    assert (Session.objects.count(), Thread.objects.count()) == (2, 3)
    assert api.post(f"{KEYS}/delete", {"api_key": user.secret}) is True
    assert Session.objects.count() == Thread.objects.count() == KeyGrant.objects.count() == 0
    assert (Charge.objects.count(), Payment.objects.count()) == (3, 1)
    assert audit() == conversations.session_breaks() == []
    assert user.chat().status_code in (400, 401)
    assert user.send("GET", "/user/api-key/mine").json()["data"] == UNKNOWN
    assert api.get(f"{KEYS}/list", q="jack")["total"] == api.get("/admin/payment/list")["total"] == 0


def test_a_call_that_its_key_s_deletion_meets_is_charged_and_not_kept(api: Api, model: AIModel) -> None:
    made = apply(api, group_id=factories.group(model).pk)
    answer = Api(made["api_key"]).chat(stream=True, session="one")
    pieces = iter(answer.streaming_content)
    next(pieces)
    api.post(f"{KEYS}/delete", {"id": made["id"]})
    list(pieces)
    answer.close()
    writer.stop()
    charge = Charge.objects.get()
    assert (charge.state, charge.outcome, charge.output_tokens) == ("settled", "ok", 10)
    assert ApiKey.objects.get(pk=made["id"]).spent == charge.fee > 0
    assert Session.objects.count() == Thread.objects.count() == 0
    assert audit() == conversations.session_breaks() == []


def test_a_key_may_be_changed_in_several_ways_at_once(api: Api) -> None:
    """Each is done, or refused with a reason, and the money is right."""
    group = factories.group()
    for _ in range(3):
        id = apply(api, balance=1)["id"]
        requests = (
            ("recharge", {"id": id, "balance": 1}),
            ("reset-key", {"id": id}),
            ("update", {"id": id, "group_id": group.pk, "month_quota": 2}),
            ("delete", {"id": id}),
            ("delete", {"id": id}),
        )
        calls = [lambda path=path, body=body: api.send("POST", f"{KEYS}/{path}", body) for path, body in requests]  # type: ignore[misc]
        assert {answer.status_code for answer in at_once(*calls)} <= {200, 400}
        assert not ApiKey.objects.get(pk=id).is_active
    assert audit() == []


def test_a_group_that_goes_meanwhile_takes_no_key_with_it(api: Api) -> None:
    for _ in range(4):
        group = factories.group()
        application = {"name": "jack", "group_id": group.pk}
        answers = at_once(
            lambda body=application: api.send("POST", f"{KEYS}/apply", body),  # type: ignore[misc]
            lambda id=group.pk: api.send("POST", "/admin/group/delete", {"id": id}),  # type: ignore[misc]
            lambda body=application: api.send("POST", f"{KEYS}/apply", body),  # type: ignore[misc]
        )
        assert answers[1].status_code == 200
        assert {answers[0].status_code, answers[2].status_code} <= {200, 400}
    assert not ApiKey.objects.filter(group__isnull=False).exists()


def test_an_admin_may_demote_or_delete_itself(api: Api) -> None:
    rob = Api(apply(api, role="admin")["api_key"])
    id = rob.get("/user/api-key/mine")["id"]
    rob.post(f"{KEYS}/update", {"id": id, "role": "user"})
    assert rob.refusal(f"{KEYS}/update", {"id": id, "role": "admin"}) == "Unauthorized: you are not an admin role."
    own = api.get("/user/api-key/mine")["id"]
    assert api.post(f"{KEYS}/delete", {"id": own}) is True
    assert api.refusal(f"{KEYS}/apply", {"name": "x"}) == UNKNOWN


def test_rights_of_another_kind_open_nothing(database: None) -> None:
    everything = Api(factories.key(scopes=["*"]).secret)
    assert everything.refusal(f"{KEYS}/apply", {"name": "x", "role": "admin"}).startswith("Unauthorized")
    assert ApiKey.objects.count() == 1


def test_the_console_s_key_is_nobody_s(api: Api) -> None:
    internal = factories.key(name="console", is_internal=True, role=Role.ADMIN)
    assert api.get(f"{KEYS}/list")["total"] == 1
    assert api.get(f"{KEYS}/detail/{internal.key.pk}") is None
    for path, more in (("recharge", {"balance": 1}), ("reset-key", {}), ("delete", {}), ("update", {"role": "user"})):
        assert api.refusal(f"{KEYS}/{path}", {"id": internal.key.pk, **more}) == "api_key or id is invalid"
    assert ApiKey.objects.get(pk=internal.key.pk).role == Role.ADMIN


def test_the_orders(api: Api) -> None:
    first, second, third = (
        apply(api, name=name, month_quota=quota)["id"] for name, quota in (("b", 3), ("c", 1), ("a", 2))
    )
    old = ApiKey.objects.get(pk=first).month.replace(year=2020)
    ApiKey.objects.filter(pk=first).update(spent=5, month_fee=9, month=old)
    ApiKey.objects.filter(pk=second).update(spent=4, month_fee=1)
    ApiKey.objects.filter(pk=third).update(spent=6)
    expected = {
        "id-0": [first, second, third],
        "name-0": [third, first, second],
        "total-1": [third, first, second],
        "quota-1": [first, third, second],
        "month-1": [second, third, first],  # what an earlier month cost is over; ties by number
        "balance-0": [first, second, third],
        "update-1": [third, second, first],
        "": [third, second, first],
        "total": [third, second, first],
        "total-2": [third, second, first],
        "spent-0": [third, second, first],
        "id-0; DROP TABLE accounts_apikey": [third, second, first],
    }
    for order, ids in expected.items():
        items = api.get(f"{KEYS}/list", orderBy=order, role="user")["items"]
        assert [row["id"] for row in items] == ids, order
    shown = api.get(f"{KEYS}/detail/{first}")
    assert (shown["month_fee"], shown["total_fee"]) == ("0.0000000000", "5.0000000000")


def test_a_long_list_asks_no_more_of_the_database_than_a_short_one(api: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            api.get(f"{KEYS}/list", limit=50)
        return len(captured)

    apply(api, group_id=factories.group().pk)
    few = queries()
    for _ in range(10):
        apply(api, group_id=factories.group().pk)
    assert queries() == few


@pytest.mark.parametrize(("is_true", "statuses"), [(False, [400, 400, 400]), (True, [404, 403, 401])])
def test_true_statuses_are_a_setting(api: Api, settings: Any, is_true: bool, statuses: list[int]) -> None:
    settings.TRUE_STATUS_CODES = is_true
    user = Api(apply(api)["api_key"])
    callers = (api, user, Api("br-nobody-s-secret"))
    assert [each.send("POST", f"{KEYS}/delete", {"id": 999}).status_code for each in callers] == statuses


BOT = {
    "provider": "webhook",
    "config": {"signingSecret": "c2l4dGVlbi1ieXRlcy1sb25n", "replyURL": "http://a.b", "apiKey": "k"},
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("group", {}),
        ("model", {"provider": "openai-compatible", "config": {"baseURL": "http://a.b", "apiKey": "sk-1"}}),
        ("bot-connector", BOT),
    ],
)
def test_a_name_that_is_taken_is_a_conflict(api: Api, settings: Any, path: str, body: Any) -> None:
    settings.TRUE_STATUS_CODES = True
    answers = [api.send("POST", f"/admin/{path}/save", {"name": "twice", **body}) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 409]
    assert answers[1].json()["error"]["error_code"] == "conflict"


@pytest.mark.parametrize("path", [f"{KEYS}/list", "/api/providers", "/api/v1/provider/models/llm"])
def test_more_parameters_than_are_read_are_the_caller_s_fault(api: Api, path: str) -> None:
    many = {f"a{number}": "1" for number in range(1001)}
    assert api.send("GET", path, query_params=many, headers={"X-API-Key": api.secret}).status_code == 400
