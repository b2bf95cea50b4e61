"""What rests, in the console: who, why, whether it still does; and its end by hand."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers.models import ProviderKey, Rest
from tests import factories

LIST = "/admin/providers/rest/"


@pytest.fixture
def key(db: None) -> ProviderKey:
    provider = factories.provider(name="acme")
    return ProviderKey.objects.create(provider=provider, name="main key", secret="sk-secret")


def rest(key: ProviderKey, seconds: int) -> Rest:
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    return Rest.objects.create(key=key, until=until, since=now, reason="upstream said 429", code="rate_limit_exceeded")


def pages(console: Client, key: ProviderKey) -> tuple[str, str]:
    provider = console.get(reverse("admin:providers_provider_change", args=[key.provider_id]))
    return console.get(LIST).content.decode(), provider.content.decode()


def test_a_rest_that_holds_is_shown_on_both_pages(console: Client, key: ProviderKey) -> None:
    rest(key, 60)
    listed, provider = pages(console, key)
    assert "acme (main key)" in listed
    assert "due for a trial" not in listed
    assert "set aside until" in provider


def test_one_whose_time_is_over_says_that_it_waits_for_a_trial(console: Client, key: ProviderKey) -> None:
    rest(key, -60)
    listed, provider = pages(console, key)
    assert "due for a trial" in listed
    assert "due for a trial since" in provider
    assert "set aside until" not in provider


def test_removing_the_row_ends_the_rest(console: Client, key: ProviderKey) -> None:
    row = rest(key, 60)
    chosen = {"action": "end", "_selected_action": [row.pk]}
    assert console.post(LIST, chosen).status_code == 302
    assert not Rest.objects.exists()
