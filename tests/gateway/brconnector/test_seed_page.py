"""The requests of the documentation's page, as it has them but for straight quotes, with a real key in its place."""

import pytest

from accounts.models import Group
from chat.models import Thread
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.brconnector.api import Api, data_of
from tests.gateway.brconnector.page import CHAT, MODELS, send

APPLY = """POST /admin/api-key/apply
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
"name": "jack",
"group_id": 1,
"role": "user",
"email": "",
"month_quota": 1.00
}"""
APPLY_AS_ADMIN = """POST /admin/api-key/apply
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
  "name": "rob",
  "group_id": 1,
  "role": "admin",
  "email": ""
}"""
UPDATE = """POST /admin/api-key/update
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
"id": 2,
"name": "jack",
"month_quota": 10.00
}"""
RECHARGE = """POST /admin/api-key/recharge
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
  "api_key": "br-xxxxxxxxxxxxxxx",
  "balance": 0.23
}"""
PAYMENTS = """GET /admin/payment/list?key_id=
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""
LIST = """GET /admin/api-key/list?q=&name=&group_id=&role=&limit=10&offset=
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""
DELETE = """POST /admin/api-key/delete
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
"id": 1
}"""
GROUPS = """GET /admin/group/list?q=&limit=10&offset=
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""


@pytest.fixture
def group(upstream: FakeOpenAI) -> Group:
    model = factories.model(factories.provider(upstream), "claude-3-sonnet", upstream_name="echo", max_output=8000)
    return factories.group(model)


def test_the_page_from_its_top_to_its_keys_end(api: Api, group: Group) -> None:
    jack = data_of(send(APPLY, api.secret, group_id=group.pk))
    assert (jack["name"], jack["role"], jack["month_quota"]) == ("jack", "user", "1.0000000000")
    rob = data_of(send(APPLY_AS_ADMIN, api.secret, group_id=group.pk))
    assert (rob["name"], rob["role"], rob["month_quota"]) == ("rob", "admin", "0.0000000000")
    changed = data_of(send(UPDATE, rob["api_key"], id=jack["id"]))
    assert changed["month_quota"] == "10.0000000000"
    charged = data_of(send(RECHARGE, api.secret, api_key=jack["api_key"]))
    assert (charged["id"], charged["balance"]) == (jack["id"], "0.2300000000")
    (payment,) = data_of(send(PAYMENTS, api.secret))["items"]
    assert (payment["key_id"], payment["fee"]) == (jack["id"], "0.23")

    user = Api(jack["api_key"])
    assert [model["id"] for model in send(MODELS, user.secret).json()["data"]] == ["claude-3-sonnet"]
    frames = send(CHAT, user.secret).getvalue().decode().split("\n\n")
    assert frames[0].startswith("data: {") and frames[-2] == "data: [DONE]"
    assert Thread.objects.get().prompt == "ping"

    listed = data_of(send(LIST, api.secret))
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 10, 0)
    shown = next(row for row in listed["items"] if row["id"] == jack["id"])
    assert (shown["group_name"], float(shown["total_fee"]) > 0) == (group.name, True)
    assert [row["name"] for row in data_of(send(GROUPS, api.secret))["items"]] == [group.name]
    assert data_of(send(DELETE, api.secret, id=jack["id"])) is True
    assert data_of(send(LIST, api.secret))["total"] == 2
    assert send(MODELS, user.secret).status_code in (400, 401)


@pytest.mark.parametrize("pasted", [PAYMENTS, LIST, GROUPS])
def test_blank_parameters_count_as_not_given(api: Api, pasted: str) -> None:
    assert data_of(send(pasted, api.secret))["offset"] == 0


def test_the_page_s_own_secret_is_nobody_s_here(api: Api) -> None:
    answer = send(RECHARGE, api.secret)
    assert (answer.status_code, answer.json()["data"]) == (400, "api_key or id is invalid")
