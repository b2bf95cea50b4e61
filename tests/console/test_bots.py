"""Bots in the console: made and changed there, secrets written and never read, and who pays for what."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.services import keys
from chat.models import Bot, BotEvent, BotPlatform
from chat.services.bots import managing
from tests import factories

LIST, ADD = "/admin/chat/bot/", "/admin/chat/bot/add/"
FEISHU = {"appId": "cli_1", "appSecret": "the-app-secret", "apiKey": "br-the-key"}


def inputs(**settings: str) -> dict[str, Any]:
    return {f"setting_{name}": value for name, value in settings.items()}


@pytest.fixture
def bot(db: None) -> Bot:
    return managing.make(name="helper", platform=BotPlatform.FEISHU, config={**FEISHU, "note": "mine"})


def page_of(bot: Bot) -> str:
    return reverse("admin:chat_bot_change", args=[bot.pk])


@pytest.mark.parametrize(
    ("platform", "settings"),
    [
        ("feishu", FEISHU),
        ("slack", {"botToken": "xoxb-1", "signingSecret": "s", "apiKey": "k"}),
        (
            "webhook",
            {"signingSecret": "ZmFrZS13ZWJob29rLXNlY3JldA==", "replyURL": "https://example.com/a", "apiKey": "k"},
        ),
    ],
)
def test_a_bot_is_made_for_each_platform(console: Client, platform: str, settings: dict[str, str]) -> None:
    page = console.get(f"{ADD}?platform={platform}").content.decode()
    assert all(f'name="setting_{name}"' in page for name in settings)
    answer = console.post(f"{ADD}?platform={platform}", {"name": "new", "is_enabled": "on", **inputs(**settings)})
    assert answer.status_code == 302, answer.content.decode()
    bot = Bot.objects.get()
    assert (bot.platform, bot.is_enabled, bot.settings) == (platform, True, settings)


def test_no_page_shows_a_secret(console: Client, bot: Bot) -> None:
    for path in (LIST, page_of(bot)):
        page = console.get(path).content.decode()
        assert "the-app-secret" not in page and "br-the-key" not in page


def test_an_empty_secret_stays_and_what_no_input_is_for_as_well(console: Client, bot: Bot) -> None:
    given = inputs(appId="cli_2", appSecret="", apiKey="br-another", modelId="gpt-4o")
    assert console.post(page_of(bot), {"name": "renamed", **given}).status_code == 302
    bot = Bot.objects.get()
    assert (bot.name, bot.is_enabled) == ("renamed", False)
    assert bot.settings == {
        "appId": "cli_2",
        "appSecret": "the-app-secret",
        "apiKey": "br-another",
        "modelId": "gpt-4o",
        "note": "mine",
    }


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (inputs(appId=""), "config.appId is required."),
        (inputs(appId="cli_1", baseURL="nowhere"), "Give an http:// or https:// URL with a host name."),
        (inputs(appId="cli_1", baseURL="https://evil.example"), "enter config.appSecret again for it."),
    ],
)
def test_what_is_wrong_stands_at_its_input(console: Client, bot: Bot, given: Any, complaint: str) -> None:
    answer = console.post(page_of(bot), {"name": "helper", **given})
    assert answer.status_code == 200
    assert complaint in answer.content.decode()
    assert Bot.objects.get().settings == {**FEISHU, "note": "mine"}


def test_a_name_is_taken_once_on_a_platform(console: Client, bot: Bot) -> None:
    answer = console.post(f"{ADD}?platform=feishu", {"name": "helper", **inputs(**FEISHU)})
    assert "There is a bot of this name on this platform." in answer.content.decode()


def test_the_list_says_who_pays_and_what_came_last(console: Client, bot: Bot) -> None:
    assert "a key that is not known" in console.get(LIST).content.decode()
    issued = factories.key(name="team chat")
    managing.change(bot=bot, config={**managing.shown(bot), "apiKey": issued.secret})
    BotEvent.objects.create(bot=bot, key="ev_1", error="Please recharge.")
    page = console.get(LIST).content.decode()
    assert "team chat" in page and "Please recharge." in page
    keys.revoke(key=issued.key)
    assert "(revoked or expired)" in console.get(page_of(bot)).content.decode()
    assert "/bot/feishu/helper/webhook/event" in console.get(page_of(bot)).content.decode()


def test_secrets_that_can_t_be_read_are_in_nobody_s_way(console: Client, bot: Bot, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["YW5vdGhlci1rZXktdGhhdC1pcy0zMi1ieXRlcy1sbyE="]
    assert console.get(LIST).status_code == console.get(page_of(bot)).status_code == 200
    assert console.post(page_of(bot), {"name": "helper", **inputs(**FEISHU)}).status_code == 302
    assert Bot.objects.get().settings == {**FEISHU, "note": "mine"}
    assert console.post(f"{page_of(bot)[: -len('change/')]}delete/", {"post": "yes"}).status_code == 302
    assert not Bot.objects.exists()


def test_who_may_only_look_gets_no_inputs(bot: Bot) -> None:
    person = User.objects.create_user("looker", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_bot"))
    client = Client()
    client.force_login(person)
    page = client.get(page_of(bot))
    assert page.status_code == 200
    assert "setting_" not in page.content.decode()
    assert client.get(ADD).status_code == 403
