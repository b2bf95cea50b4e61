"""Which models keys and groups may call: changed one by one, and held to from the next call on."""

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Charge, GroupGrant, KeyGrant
from providers.models import AIModel
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.brconnector.api import Api, at_once

BIND = "bind-or-unbind-model"


def new_key(api: Api, **fields: object) -> tuple[int, Api]:
    made = api.post("/admin/api-key/apply", {"name": "jack", "month_quota": 1, **fields})
    return made["id"], Api(made["api_key"])


def test_a_change_holds_for_the_very_next_call(api: Api, model: AIModel) -> None:
    id, user = new_key(api)
    pair = {"key_id": id, "model_id": model.pk}
    assert user.chat().status_code != 200
    for answer, may_call in (("created", True), ("deleted", False), ("created", True), ("deleted", False)):
        assert api.post(f"/admin/api-key/{BIND}", pair) == answer
        assert (user.chat().status_code == 200) is may_call
    assert Charge.objects.count() == 2


def test_a_group_s_models_are_its_keys_from_the_next_call_on(api: Api, model: AIModel) -> None:
    group = api.post("/admin/group/save", {"name": "research"})
    id, user = new_key(api, group_id=group["id"])
    _, stranger = new_key(api)
    api.post(f"/admin/group/{BIND}", {"group_id": group["id"], "model_id": model.pk})
    assert (user.chat().status_code == 200, stranger.chat().status_code == 200) == (True, False)
    other = api.post("/admin/group/save", {"name": "sales"})
    api.post("/admin/api-key/update", {"id": id, "group_id": other["id"]})
    assert user.chat().status_code != 200


def test_a_key_may_call_its_own_models_and_its_group_s(api: Api, model: AIModel) -> None:
    second = factories.model(model.provider, "tok", upstream_name="echo")
    group = factories.group(model)
    id, user = new_key(api, group_id=group.pk)
    api.post(f"/admin/api-key/{BIND}", {"key_id": id, "model_id": second.pk})
    assert [user.chat(name).status_code for name in ("echo", "tok")] == [200, 200]
    api.post(f"/admin/group/{BIND}", {"group_id": group.pk, "model_id": model.pk})
    assert [user.chat(name).status_code == 200 for name in ("echo", "tok")] == [False, True]
    items = api.get("/admin/api-key/list-model", key_id=id)["items"]
    assert [row["model_name"] for row in items] == ["tok"]


def test_toggles_that_meet_come_one_after_the_other(api: Api, model: AIModel) -> None:
    group = factories.group()
    key_id, _ = new_key(api)
    for path, pair, rows in (
        ("group", {"group_id": group.pk}, GroupGrant.objects),
        ("api-key", {"key_id": key_id}, KeyGrant.objects),
    ):
        body = {**pair, "model_id": model.pk}
        toggle = [lambda path=path, body=body: api.post(f"/admin/{path}/{BIND}", body)]  # type: ignore[misc]
        assert Counter(at_once(*toggle * 6)) == {"created": 3, "deleted": 3}
        assert rows.count() == 0  # type: ignore[attr-defined]
        bind = [lambda path=path, body={**body, "action": "bind"}: api.post(f"/admin/{path}/{BIND}", body)]  # type: ignore[misc]
        assert set(at_once(*bind * 6)) == {"created"}
        assert rows.count() == 1  # type: ignore[attr-defined]


def test_a_model_that_goes_meanwhile_is_bound_or_refused(api: Api, model: AIModel) -> None:
    group = factories.group()
    for _ in range(4):
        doomed = factories.model(model.provider, "doomed")
        body = {"group_id": group.pk, "model_id": doomed.pk, "action": "bind"}
        bound, deleted = at_once(
            lambda body=body: api.send("POST", f"/admin/group/{BIND}", body),  # type: ignore[misc]
            lambda id=doomed.pk: api.send("POST", "/admin/model/delete", {"id": id}),  # type: ignore[misc]
        )
        assert deleted.status_code == 200
        assert bound.status_code in (200, 400)
    assert not GroupGrant.objects.exists()


def test_how_models_are_connected_is_told_without_secrets(api: Api, upstream: FakeOpenAI) -> None:
    config = {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key, "model": "echo"}
    saved = api.post(
        "/admin/model/save",
        {"name": "small", "provider": "openai-compatible", "config": config, "price_in": 3, "price_out": 15},
    )
    api.post(f"/admin/group/{BIND}", {"group_id": factories.group().pk, "model_id": saved["id"]})
    (row,) = api.get("/admin/group/list-model")["items"]
    (listed,) = api.get("/admin/model/list")["items"]
    same = ("config", "provider", "multiple", "price_in", "price_out")
    assert {name: row[name] for name in same} == {name: listed[name] for name in same}
    assert (row["price_in"], row["config"]["apiKey"]) == ("0.0000030000", "***")
    assert upstream.key not in str(row)


@pytest.mark.parametrize("owner", ["group", "api-key"])
def test_a_long_list_asks_no_more_of_the_database_than_a_short_one(api: Api, model: AIModel, owner: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            api.get(f"/admin/{owner}/list-model", limit=50)
        return len(captured)

    def more() -> None:
        granted = factories.model(factories.provider())
        factories.group(granted)
        factories.grant(factories.key(), granted)

    more()
    queries()  # the first notes that the key was used
    few = queries()
    for _ in range(10):
        more()
    assert queries() == few
