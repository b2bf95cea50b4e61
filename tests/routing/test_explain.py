"""Where a call would go, and why: the same answer on the API and on the console's page, and nothing happens."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Charge, User
from tests import factories
from tests.routing.conftest import Routes


def explain(routes: Routes, key: Any = None, **fields: Any) -> Any:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], **fields}
    headers = {"authorization": f"Bearer {(key or routes.key).secret}"}
    return routes.client.post("/v1/route/explain", body, content_type="application/json", headers=headers)


def providers(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["provider"] for entry in entries]


@pytest.fixture
def crowd(routes: Routes) -> Routes:
    """One name, and a deployment for each reason to be in or out."""
    routes.deployment("second", priority=1, price_in=3, price_out=9)
    routes.deployment("first", priority=0, fallbacks=["spare"], context_fallbacks=["long"])
    routes.deployment("off", is_enabled=False)
    routes.deployment("provider off", provider={"is_enabled": False})
    routes.deployment("other kind", kind="embedding")
    routes.deployment("keyless").provider.keys.update(is_enabled=False)
    routes.deployment("spare", "spare")
    routes.deployment("long", "long", price_out=90)
    return routes


def test_candidates_come_in_the_order_of_trying(crowd: Routes) -> None:
    told = explain(crowd, max_tokens=10).json()
    assert providers(told["candidates"]) == ["first", "second", "spare"]
    assert told["candidates"][1]["price_out"] == "9.00"
    assert providers(told["after"]["context_too_long"]) == ["long"]


def test_it_says_why_the_others_are_out(crowd: Routes) -> None:
    admin = factories.key(role="admin")
    reasons = {each["provider"]: each["reason"] for each in explain(crowd, admin).json()["excluded"]}
    assert reasons == {
        "off": "the model is switched off",
        "provider off": "its provider is switched off",
        "other kind": "it is of the kind embedding, which this endpoint does not call",
        "keyless": "has no enabled key",
    }


def test_the_hold_covers_the_dearest_of_all(crowd: Routes) -> None:
    hold = explain(crowd, max_tokens=10).json()["hold"]
    prompt = hold["prompt_tokens"]
    assert hold["usd"] == f"{(prompt * 3 + 10 * 90) / 1_000_000:.6f}"
    assert (hold["output_tokens"], hold["funds_usd"], hold["refusal"]) == (10, "100.00", None)


def test_it_holds_what_the_call_then_holds(crowd: Routes) -> None:
    fields = {"max_tokens": 10}
    promised = explain(crowd, **fields).json()["hold"]["usd"]
    crowd.chat(**fields)
    assert f"{Charge.objects.get().hold:.6f}" == promised


def test_nothing_is_sent_held_or_charged(crowd: Routes) -> None:
    explain(crowd)
    assert not any(fake.seen for fake in crowd.fakes.values())
    assert not Charge.objects.exists()


def test_a_deployment_that_rests_is_the_last_resort(crowd: Routes) -> None:
    crowd.fakes["first"].mishap(500)
    crowd.chat()
    told = explain(crowd).json()
    assert providers(told["candidates"]) == ["second", "spare", "first"]
    assert told["candidates"][-1]["last_resort"].startswith("rests: mishap 500")


def test_one_that_asked_for_peace_is_out(crowd: Routes) -> None:
    crowd.fakes["first"].mishap(429, Retry_After="50")
    crowd.chat()
    told = explain(crowd, factories.key(role="admin")).json()
    assert providers(told["candidates"]) == ["second", "spare"]
    assert {"first": "rests: mishap 429"}.items() <= {e["provider"]: e["reason"] for e in told["excluded"]}.items()


def test_it_says_when_the_money_is_short(crowd: Routes) -> None:
    hold = explain(crowd, factories.key(month_quota=0)).json()["hold"]
    assert "Recharge" in hold["refusal"]
    assert hold["funds_usd"] == "0.00"


def test_a_user_is_not_told_of_models_that_it_was_not_granted(crowd: Routes) -> None:
    key = factories.key(all_models=False)
    for model in crowd.key.key.granted_models.model.objects.filter(provider__name="first"):
        factories.grant(key, model)
    told = explain(crowd, key).json()
    assert providers(told["candidates"]) == ["first"]
    assert told["excluded"] == []


def test_an_unknown_name_is_a_404(crowd: Routes) -> None:
    assert explain(crowd, model="nobody").status_code == 404


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"endpoint": "sing"}, "endpoint"), ({"messages": []}, "messages"), ({"endpoint": "embedding"}, "input")],
)
def test_a_wrong_body_is_named(crowd: Routes, fields: dict[str, Any], param: str) -> None:
    answer = explain(crowd, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_it_needs_a_key(crowd: Routes) -> None:
    answer = crowd.client.post("/v1/route/explain", {}, content_type="application/json")
    assert answer.status_code == 401


class TestPage:
    @pytest.fixture
    def operator(self, crowd: Routes) -> Client:
        client = Client()
        client.force_login(User.objects.create_superuser("operator", password="x"))
        return client

    def test_it_shows_the_same(self, crowd: Routes, operator: Client) -> None:
        query = {"key": crowd.key.key.pk, "endpoint": "chat", "model": "echo", "prompt": "hi", "max_tokens": 10}
        page = operator.get("/admin/route/", query).content.decode()
        order = [page.index(f'<td class="is-name">{name}') for name in ("first", "second", "spare")]
        assert order == sorted(order)
        assert "long on long" in page
        assert "$100.00 to spend" in page
        assert not any(fake.seen for fake in crowd.fakes.values())

    def test_a_name_that_nobody_has_is_told(self, crowd: Routes, operator: Client) -> None:
        query = {"key": crowd.key.key.pk, "endpoint": "chat", "model": "nobody", "prompt": "hi"}
        assert "does not exist" in operator.get("/admin/route/", query).content.decode()

    def test_it_opens_empty(self, operator: Client) -> None:
        assert operator.get("/admin/route/").status_code == 200

    def test_it_takes_the_right_to_see_keys_and_models(self, crowd: Routes) -> None:
        client = Client()
        client.force_login(User.objects.create_user("clerk", is_staff=True))
        assert client.get("/admin/route/").status_code == 403
