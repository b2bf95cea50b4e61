"""The console's form of a model: what it says of its calls."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from providers.models import AIModel, Provider
from tests import factories

ADD = "/admin/providers/aimodel/add/"


@pytest.fixture
def provider(admin: User) -> Provider:
    return factories.provider(name="acme")


def form(of: Provider, **fields: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("abilities", "fallbacks", "context_fallbacks", "filter_fallbacks"), "[]")
    return {
        "name": "m",
        "kind": "llm",
        "provider": of.pk,
        "upstream_name": "",
        "is_enabled": "on",
        "weight": 1,
        "priority": 0,
        "strategy": "weighted",
        "unknown_params": "drop",
        "extra_args": "{}",
        **texts,
        **fields,
    }


def test_its_abilities_and_its_effort_are_set_there(console: Client, provider: Provider) -> None:
    page = console.get(ADD).content.decode()
    assert 'name="keeps_to_abilities"' in page
    assert '<option value="xhigh">' in page
    said = {"abilities": '["vision"]', "keeps_to_abilities": "on", "reasoning_effort": "low"}
    assert console.post(ADD, form(provider, **said)).status_code == 302
    model = AIModel.objects.get()
    assert (model.abilities, model.keeps_to_abilities, model.reasoning_effort) == (["vision"], True, "low")


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"abilities": '"vision"'}, "abilities", "Give a JSON list of abilities"),
        ({"reasoning_effort": "max"}, "reasoning_effort", "not one of the available choices"),
        ({"extra_args": '{"timeout": "soon"}'}, "extra_args", "timeout must be a number of seconds"),
        ({"extra_args": "[]"}, "extra_args", "Give a JSON object."),
        ({"kind": "rerank", "extra_args": '{"rerank_url": "https://evil.test"}'}, "extra_args", "leads away"),
        ({"provider": ""}, "provider", "This field is required."),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    console: Client, provider: Provider, fields: dict[str, Any], field: str, told: str
) -> None:
    page = console.post(ADD, form(provider, **fields))
    [said] = page.context["adminform"].form.errors[field]
    assert told in said
    assert not AIModel.objects.exists()


def test_a_kind_that_the_provider_can_t_serve_is_told_beside_it(console: Client, provider: Provider) -> None:
    Provider.objects.update(requester="anthropic-messages")
    page = console.post(ADD, form(provider, kind="embedding"))
    assert page.context["adminform"].form.errors == {
        "kind": ["Provider anthropic-messages does not support embedding models."]
    }
