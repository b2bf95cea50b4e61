"""Models over their paths: the seed page's requests, merges, prices, names, and what is refused."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import GroupGrant, KeyGrant, Role
from accounts.services.keys import IssuedKey
from providers import catalog
from providers.models import AIModel, Provider, ProviderKey
from tests import factories

pytestmark = pytest.mark.usefixtures("database")

JSON = dict[str, Any]

HOME = "https://llm.example.com/v1"
CONFIG = {"baseURL": HOME, "apiKey": "sk-1", "model": "big-1"}
SHOWN = {**CONFIG, "apiKey": "***"}
NEW = {"name": "m", "provider": "openai-compatible", "config": CONFIG, "price_in": 3, "price_out": 15}


class Admin:
    def __init__(self, client: Client, issued: IssuedKey) -> None:
        self.client, self.issued = client, issued

    def send(self, path: str, body: Any = None) -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"authorization": f"Bearer {self.issued.secret}"}
        if body is None:
            return self.client.get(path, headers=headers)
        return self.client.post(path, text, "application/json", headers=headers)

    def data(self, path: str, body: Any = None) -> Any:
        answer = self.send(path, body)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    def refused(self, path: str, body: Any) -> str:
        answer = self.send(path, body)
        assert answer.status_code == 400, answer.content
        told: str = answer.json()["data"]
        return told

    def save(self, **fields: Any) -> Any:
        return self.data("/admin/model/save", {**NEW, **fields})

    def row(self, id: int) -> Any:
        return self.data(f"/admin/model/detail/{id}")


@pytest.fixture
def admin(client: Client) -> Iterator[Admin]:
    client.raise_request_exception = False
    yield Admin(client, factories.key(role=Role.ADMIN))


def everything() -> list[Any]:
    tables = (AIModel, Provider, ProviderKey, GroupGrant, KeyGrant)
    return [[{**row, "updated_at": None} for row in table.objects.order_by("id").values()] for table in tables]


class TestSeedPage:
    """Its requests as they stand there, but for the typographer's quotation marks."""

    def test_list(self, admin: Admin) -> None:
        assert admin.data("/admin/model/list?q=&limit=10&offset=") == {
            "items": [],
            "total": 0,
            "limit": 10,
            "offset": 0,
        }

    def test_create(self, admin: Admin) -> None:
        group = factories.group()
        body = """{
"name": "xxxx",
"group_id": 1,
"multiple": false,
"config": "{\\"modelId\\": \\"somevalue\\"}",
"provider": "bedrock-converse",
"price_in": 1,
"price_out":3
}""".replace('"group_id": 1', f'"group_id": {group.pk}')
        made = admin.data("/admin/model/save", body)
        model = AIModel.objects.get()
        assert made == {"id": model.pk, "name": "xxxx"}
        assert (model.upstream_name, model.provider.requester) == ("somevalue", "bedrock-converse")
        assert (model.price_in, model.price_out, model.is_multimodal) == (1, 3, False)
        assert [grant.group for grant in GroupGrant.objects.filter(model=model)] == [group]

    def test_update(self, admin: Admin) -> None:
        id = admin.save(name="before", provider="bedrock-converse", config={"modelId": "other"})["id"]
        body = """{
  "id": 1,
  "name": "xxxx",
  "group_id": 1,
  "multiple": false, 
  "config": "{\\"modelId\\": \\"somevalue\\"}", 
  "provider": "bedrock-converse",
  "price_in": 1,
  "price_out":3
}""".replace('"id": 1', f'"id": {id}')  # noqa: W291  # as it stands there
        told = admin.data("/admin/model/save", body)
        assert (told.pop("updated_at")[-1], told) == (
            "Z",
            {"id": id, "name": "xxxx", "config": {"modelId": "somevalue"}},
        )
        row = admin.row(id)
        assert (row["multiple"], row["model_type"], row["provider"]) == (0, 1, "bedrock-converse")
        assert (row["price_in"], row["price_out"]) == ("0.0000010000", "0.0000030000")
        assert not GroupGrant.objects.exists()

    def test_delete(self, admin: Admin) -> None:
        id = admin.save()["id"]
        factories.group(AIModel.objects.get())
        factories.grant(admin.issued, AIModel.objects.get())
        body = """{
"id": 1
}""".replace("1", str(id))
        assert admin.data("/admin/model/delete", body) is True
        assert not (AIModel.objects.exists() or GroupGrant.objects.exists() or KeyGrant.objects.exists())
        assert Provider.objects.count() == 1
        assert admin.row(id) is None


class TestChanges:
    def test_what_is_left_out_stays(self, admin: Admin) -> None:
        id = admin.save(multiple=1)["id"]
        before = admin.row(id)
        for body in ({}, {"name": None, "config": None, "price_in": "", "multiple": None, "provider": ""}):
            admin.data("/admin/model/save", {"id": id, **body})
            assert {**admin.row(id), "updated_at": None} == {**before, "updated_at": None}
        admin.data("/admin/model/save", {"id": str(id), "price_in": "2.5"})
        expected = {**before, "price_in": "0.0000025000", "updated_at": None}
        assert {**admin.row(id), "updated_at": None} == expected

    def test_what_a_client_was_told_changes_nothing(self, admin: Admin) -> None:
        """Of every origin; it makes the prices of what it was told by multiplying floats."""
        admin.save(price_in=0.8, price_out=0.0004)
        provider = factories.provider(retries=1, config={"headers": {"X-A": "b"}})
        factories.model(provider, "console", is_multimodal=True, price_in=Decimal("0.0000000001"), price_out=None)
        factories.model(provider, "route")
        factories.model(
            factories.provider(requester="chroma-embedding", base_url="", secret=""), "route", kind="embedding"
        )
        body = {"name": "another's", "requester": "openai-compatible", "requester_config": {"base_url": HOME}}
        headers = {"x-api-key": admin.issued.secret}
        body |= {"api_keys": ["sk-a", "sk-b"], "extra_args": {"api_key": "hidden"}, "abilities": ["vision"]}
        made = admin.client.post("/api/v1/provider/models/llm", body, "application/json", headers=headers)
        assert made.status_code == 200
        before = everything()
        for row in admin.data("/admin/model/list")["items"]:
            prices = {name: float(row[name]) * 1e6 for name in ("price_in", "price_out")}
            admin.data("/admin/model/save", {**row, **prices, "config": json.dumps(row["config"])})
        assert everything() == before

    def test_masks_keep_the_secret_and_a_new_one_takes_its_place(self, admin: Admin) -> None:
        id = admin.save()["id"]
        told = admin.data("/admin/model/save", {"id": id, "config": {**SHOWN, "model": "big-2"}})
        assert told["config"] == {**SHOWN, "model": "big-2"}
        assert [key.secret for key in ProviderKey.objects.all()] == ["sk-1"]
        admin.data("/admin/model/save", {"id": id, "config": {**CONFIG, "apiKey": "sk-2"}})
        assert [key.secret for key in ProviderKey.objects.all()] == ["sk-2"]

    def test_no_answer_has_a_secret(self, admin: Admin) -> None:
        id = admin.save(config={**CONFIG, "headers": {"X-Token": "hidden-1"}})["id"]
        paths = (f"/admin/model/detail/{id}", "/admin/model/list", "/user/model/list", "/user/model/list-for-brclient")
        answers = [admin.send(path).content for path in paths]
        answers.append(admin.send("/admin/model/save", {"id": id, "config": {**SHOWN, "apiKey": "sk-1"}}).content)
        assert not [answer for answer in answers if b"sk-1" in answer or b"hidden-1" in answer]


class TestPrices:
    @pytest.mark.parametrize(
        ("sent", "stored", "told"),
        [
            (3, Decimal(3), "0.0000030000"),
            ("0.035", Decimal("0.035"), "0.0000000350"),
            (10_000, Decimal(10_000), "0.0100000000"),
            ("0.0000000001", Decimal("0.0000000001"), "0.0000000000000001"),
            (0.7999999999999999, Decimal("0.8"), "0.0000008000"),
            (0, Decimal(0), "0.0000000000"),
        ],
    )
    def test_they_come_per_million_and_go_out_per_token(
        self, admin: Admin, sent: Any, stored: Decimal, told: str
    ) -> None:
        id = admin.save(price_in=sent)["id"]
        assert (AIModel.objects.get().price_in, admin.row(id)["price_in"]) == (stored, told)

    def test_one_that_nobody_knows_is_told_as_0_and_stays_unknown(self, admin: Admin) -> None:
        body = {name: value for name, value in NEW.items() if name not in ("price_in", "price_out")}
        id = admin.data("/admin/model/save", body)["id"]
        assert admin.row(id)["price_in"] == "0.0000000000"
        admin.data("/admin/model/save", {"id": id, "price_in": 0, "price_out": "0.0000000000"})
        assert (AIModel.objects.get().price_in, AIModel.objects.get().price_out) == (None, None)
        admin.data("/admin/model/save", {"id": id, "price_in": 1})
        admin.data("/admin/model/save", {"id": id, "price_in": 0})
        assert AIModel.objects.get().price_in == 0

    @pytest.mark.parametrize(
        "value",
        [-1, 10_000.01, 1e300, "1e400", "NaN", "sNaN", "-Infinity", "many", True, [], {}, [3], "0.12345678901234567",
         0.12345678901, 10**40, "9" * 5000],
    )  # fmt: skip
    def test_what_is_none_is_refused(self, admin: Admin, value: Any) -> None:
        for name in ("price_in", "price_out"):
            assert admin.refused("/admin/model/save", {**NEW, name: value}).startswith(f"{name}: ")
        assert not AIModel.objects.exists() and not Provider.objects.exists()


class TestNames:
    def test_one_that_is_taken_is_refused_for_a_new_and_for_a_renamed_model(self, admin: Admin) -> None:
        factories.model(factories.provider(), "taken")
        id = admin.save()["id"]
        before = everything()
        assert admin.refused("/admin/model/save", {**NEW, "name": "taken"}) == "taken already exists"
        assert admin.refused("/admin/model/save", {**NEW, "id": id, "name": "taken"}) == "taken already exists"
        assert everything() == before

    def test_a_route_has_a_row_for_each_of_its_models(self, admin: Admin) -> None:
        for _ in range(2):
            factories.model(factories.provider(), "route")
        assert [row["name"] for row in admin.data("/admin/model/list")["items"]] == ["route", "route"]
        assert [row["name"] for row in admin.data("/user/model/list-for-brclient")] == ["route"]


class TestLists:
    def test_the_newest_first_searched_and_by_provider(self, admin: Admin) -> None:
        for name in ("alpha", "Beta", "beta"):
            admin.save(name=name)
        admin.save(name="o", provider="ollama", config={"host": "http://h", "model": "tiny"})

        def names(query: str) -> list[str]:
            return [row["name"] for row in admin.data(f"/admin/model/list?{query}")["items"]]

        assert names("") == ["o", "beta", "Beta", "alpha"]
        assert (names("q=eta&limit=1"), names("q=Bet")) == (["beta"], ["Beta"])
        assert (names("provider=ollama"), names("provider=nowhere"), names("provider=openai")) == (["o"], [], [])

    def test_a_longer_list_takes_no_more_queries(self, admin: Admin) -> None:
        def queries(path: str) -> int:
            admin.send(path)
            with CaptureQueriesContext(
                connection,
            ) as seen:
                admin.data(path)
            return len(seen)

        paths = ("/admin/model/list", "/user/model/list", "/user/model/list-for-brclient")
        admin.save(name="one")
        few = [queries(path) for path in paths]
        for number in range(5):
            admin.save(name=f"m{number}", config={**CONFIG, "apiKey": f"sk-{number}"})
        assert [queries(path) for path in paths] == few

    def test_the_ids_that_can_be_saved(self, admin: Admin) -> None:
        ids = admin.data("/admin/model/list-providers")
        assert ids[:4] == ["bedrock-converse", "smart-router", "sagemaker-lmi", "ollama"]
        assert not set(ids) & set(catalog.REFUSED)


class TestMine:
    """What a key may call: its group's models first, then its own that are not among them."""

    def test_as_grants(self, admin: Admin, client: Client) -> None:
        provider = factories.provider()
        both, own, disabled = (factories.model(provider, name) for name in ("both", "own", "off"))
        group = factories.group(both, disabled)
        user = factories.key(all_models=False, group=group)
        for model in (own, both):
            factories.grant(user, model)
        AIModel.objects.filter(pk=disabled.pk).update(is_enabled=False)
        factories.model(provider, "of somebody else")
        rows = Admin(client, user).data("/user/model/list")
        assert [(row["model_name"], row.get("group_name"), row.get("key_id")) for row in rows] == [
            ("both", group.name, None),
            ("own", None, user.key.pk),
        ]
        assert {row["provider"] for row in rows} == {"openai-compatible"}
        assert [row["config"] for row in rows] == [{}, {}]
        names = [row["name"] for row in Admin(client, user).data("/user/model/list-for-brclient?f=?f=1")]
        assert names == ["both", "own"]

    def test_a_key_for_all_has_them_all(self, admin: Admin) -> None:
        admin.save()
        [row] = admin.data("/user/model/list")
        assert (row["model_name"], row["key_id"], row["config"]) == ("m", admin.issued.key.pk, SHOWN)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"name": ""}, "name is required"),
            ({"name": 5}, "name: Give a text."),
            ({"name": "n" * 300}, "name: Ensure this value has at most 255 characters"),
            ({"provider": None}, "provider is required"),
            ({"provider": ["ollama"]}, "provider: Give a text."),
            ({"provider": "nowhere"}, "nowhere: There is no such provider."),
            ({"provider": "aws-executor"}, "aws-executor: It runs shell commands"),
            ({"config": "no json"}, "config: Give a JSON object"),
            ({"config": "[1]"}, "config: Give a JSON object"),
            ({"config": '"{}"'}, "config: Give a JSON object"),
            ({"config": [1]}, "config: Give a JSON object"),
            ({"config": 5}, "config: Give a JSON object"),
            ({"config": False}, "config: Give a JSON object"),
            ({"config": '{"model": "a\\u0000b"}'}, "Null characters are not allowed."),
            ({"config": "{" * 500}, "config: Give a JSON object"),
            ({"config": '{"a":' * 150 + "1" + "}" * 150}, "config: Give a JSON object"),
            ({"config": {}}, "config.baseURL is required"),
            ({"config": {**CONFIG, "baseURL": "nowhere"}}, "address: Give an http:// or https:// URL"),
            ({"multiple": 2}, "multiple: Give true or false"),
            ({"multiple": "yes"}, "multiple: Give true or false"),
            ({"multiple": [1]}, "multiple: Give true or false"),
            ({"multiple": 0.5}, "multiple: Give true or false"),
            ({"group_id": 999}, "group_id is invalid: there is no such group"),
            ({"group_id": "one"}, "group_id is invalid"),
            ({"group_id": 10**30}, "group_id is invalid"),
            ({"id": "one"}, "id is invalid"),
            ({"id": 10**30}, "id is invalid"),
            ({"id": 999}, "id is invalid: there is no such model"),
            ({"id": -1}, "id is invalid"),
            ({"id": [1]}, "id is invalid"),
        ],
    )  # fmt: skip
    def test_nothing_is_stored(self, admin: Admin, fields: JSON, reason: str) -> None:
        assert admin.refused("/admin/model/save", {**NEW, **fields}).startswith(reason)
        assert not AIModel.objects.exists() and not Provider.objects.exists() and not ProviderKey.objects.exists()

    @pytest.mark.parametrize("value", [True, False, 1, 0, "1", "0"])
    def test_a_switch_is_a_boolean_or_a_number(self, admin: Admin, value: Any) -> None:
        assert admin.row(admin.save(multiple=value)["id"])["multiple"] == int(value)

    @pytest.mark.parametrize("value", [0, "", "0", None])
    def test_no_group_is_no_group(self, admin: Admin, value: Any) -> None:
        admin.save(group_id=value)
        assert not GroupGrant.objects.exists()

    def test_a_knowledge_base_is_refused_with_the_reason(self, admin: Admin) -> None:
        body = {"name": "kb", "knowledgeBaseId": "K", "summaryModel": "claude-3-haiku"}
        assert "A knowledge base searches documents" in admin.refused("/admin/model/save-kb-model", body)

    def test_deleting_names_what_is_missing(self, admin: Admin) -> None:
        assert admin.refused("/admin/model/delete", {}) == "id is required"
        assert admin.refused("/admin/model/delete", {"id": 999}) == "id is invalid: there is no such model"

    def test_ordinary_keys_may_not(self, admin: Admin, client: Client) -> None:
        user = Admin(client, factories.key())
        for path in ("save", "delete", "save-kb-model"):
            assert user.refused(f"/admin/model/{path}", NEW) == "Unauthorized: you are not an admin role."
        for path in ("list", "list-providers", "detail/1"):
            assert user.send(f"/admin/model/{path}").status_code == 400


class TestAtOnce:
    """Saves that meet."""

    def send(self, bodies: list[JSON]) -> list[Any]:
        issued, barrier = factories.key(role=Role.ADMIN), threading.Barrier(len(bodies))

        def save(body: JSON) -> Any:
            barrier.wait()
            answer = Admin(Client(raise_request_exception=False), issued).send("/admin/model/save", body)
            connection.close()
            return answer

        with ThreadPoolExecutor(len(bodies)) as threads:
            return list(threads.map(save, bodies))

    def test_one_name_is_taken_once(self) -> None:
        answers = self.send([{**NEW, "config": {**CONFIG, "apiKey": f"sk-{number}"}} for number in range(6)])
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
        assert {answer.json()["data"] for answer in answers if answer.status_code == 400} == {"m already exists"}
        assert (AIModel.objects.count(), Provider.objects.count(), ProviderKey.objects.count()) == (1, 1, 1)

    def test_one_connection_is_one_provider(self) -> None:
        answers = self.send([{**NEW, "name": f"m{number}"} for number in range(6)])
        assert {answer.status_code for answer in answers} == {200}
        assert (AIModel.objects.count(), Provider.objects.count(), ProviderKey.objects.count()) == (6, 1, 1)
