"""Bots as those who set them up meet them, beyond what the recordings say: what is stored, and where secrets go."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Role
from chat.models import Bot
from chat.services.bots import managing
from providers.sensitive import MASK
from tests import factories

pytestmark = pytest.mark.django_db

JSON = dict[str, Any]

FEISHU, GENERIC = "/admin/bot/feishu", "/admin/bot-connector"
CONFIG = {"appId": "cli_1", "appSecret": "the-app-secret", "apiKey": "br-the-key", "modelId": "claude-3-sonnet"}


@pytest.fixture
def admin() -> JSON:
    return {"X-API-Key": factories.key(role=Role.ADMIN).secret}


def save(admin: JSON, where: str = GENERIC, **body: Any) -> Any:
    return Client().post(f"{where}/save", json.dumps(body), content_type="application/json", headers=admin)


@pytest.fixture
def bot(admin: JSON) -> Bot:
    answer = save(admin, name="helper", provider="feishu", config=CONFIG)
    return Bot.objects.get(pk=answer.json()["data"]["id"])


def stored(bot: Bot) -> JSON:
    return Bot.objects.get(pk=bot.pk).settings


class TestSecrets:
    def test_they_are_encrypted_at_rest(self, bot: Bot) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM chat_bot")
            row = "".join(str(bytes(each) if isinstance(each, memoryview) else each) for each in cursor.fetchone())
        assert "the-app-secret" not in row and "br-the-key" not in row
        assert stored(bot) == CONFIG

    def test_no_answer_shows_one(self, bot: Bot, admin: JSON) -> None:
        for path in (f"{GENERIC}/list", f"{GENERIC}/detail/{bot.pk}", f"{FEISHU}/list", f"{FEISHU}/detail/{bot.pk}"):
            text = Client().get(path, headers=admin).content.decode()
            assert "the-app-secret" not in text and "br-the-key" not in text and text.count(MASK) == 2

    def test_what_came_out_goes_back_unharmed(self, bot: Bot, admin: JSON) -> None:
        shown = Client().get(f"{GENERIC}/detail/{bot.pk}", headers=admin).json()["data"]
        for config in (shown["config"], json.dumps(shown["config"])):
            assert save(admin, **{**shown, "config": config}).status_code == 200
        assert stored(bot) == CONFIG

    def test_a_config_is_replaced_as_a_whole(self, bot: Bot, admin: JSON) -> None:
        save(admin, id=bot.pk, config={**managing.shown(bot), "encryptKey": "e", "note": "mine"})
        assert stored(bot) == {**CONFIG, "encryptKey": "e", "note": "mine"}
        save(admin, id=bot.pk, config={**managing.shown(bot), "modelId": None})
        assert stored(bot) == {name: value for name, value in CONFIG.items() if name != "modelId"}

    def test_a_bare_config_is_laid_over_what_there_is(self, bot: Bot, admin: JSON) -> None:
        save(admin, id=bot.pk, config={**managing.shown(bot), "encryptKey": "e"})
        answer = save(admin, FEISHU, appId="cli_1", appSecret="another", apiKey=MASK, modelId="m")
        assert answer.json()["data"]["id"] == bot.pk
        assert stored(bot) == {**CONFIG, "encryptKey": "e", "appSecret": "another", "modelId": "m"}

    def test_a_bare_config_with_an_id_is_that_bot_s(self, bot: Bot, admin: JSON) -> None:
        save(admin, FEISHU, id=bot.pk, appId="cli_9", modelId="m")
        assert stored(bot) == {**CONFIG, "appId": "cli_9", "modelId": "m"}

    def test_one_under_a_name_of_one_s_own_is_one_as_well(self, bot: Bot, admin: JSON) -> None:
        save(admin, id=bot.pk, config={**managing.shown(bot), "proxyPassword": "p"})
        assert managing.shown(Bot.objects.get())["proxyPassword"] == MASK
        assert "proxyPassword" not in Bot.objects.get().config

    @pytest.mark.parametrize(
        "address", ["https://open.feishu.cn:8443", "http://open.feishu.cn", "https://open.larksuite.com"]
    )
    def test_one_does_not_travel_to_another_address(self, bot: Bot, admin: JSON, address: str) -> None:
        moved = {**managing.shown(bot), "baseURL": address}
        assert save(admin, id=bot.pk, config=moved).status_code == 400
        assert save(admin, FEISHU, **moved).status_code == 400
        assert stored(bot) == CONFIG
        assert save(admin, id=bot.pk, config={**moved, "appSecret": "entered"}).status_code == 200
        assert stored(bot) == {**CONFIG, "baseURL": address, "appSecret": "entered"}

    def test_the_same_address_spelt_out_is_no_move(self, bot: Bot, admin: JSON) -> None:
        moved = {**managing.shown(bot), "baseURL": "https://Open.Feishu.cn/"}
        assert save(admin, id=bot.pk, config=moved).status_code == 200

    def test_those_that_can_t_be_read_can_be_entered_again(self, bot: Bot, admin: JSON, settings: Any) -> None:
        settings.FIELD_ENCRYPTION_KEYS = ["YW5vdGhlci1rZXktdGhhdC1pcy0zMi1ieXRlcy1sbyE="]
        shown = Client().get(f"{GENERIC}/detail/{bot.pk}", headers=admin).json()["data"]["config"]
        assert shown == {"appId": "cli_1", "modelId": "claude-3-sonnet"}
        assert save(admin, id=bot.pk, config={**shown, "appSecret": MASK, "apiKey": MASK}).status_code == 400
        assert save(admin, id=bot.pk, config=CONFIG).status_code == 200
        assert stored(bot) == CONFIG

    def test_they_move_to_a_new_key_of_the_keyring(self, bot: Bot, settings: Any) -> None:
        new = "YW5vdGhlci1rZXktdGhhdC1pcy0zMi1ieXRlcy1sbyE="
        settings.FIELD_ENCRYPTION_KEYS = [new, *settings.FIELD_ENCRYPTION_KEYS]
        assert managing.rotate() == 1
        settings.FIELD_ENCRYPTION_KEYS = [new]
        assert stored(bot) == CONFIG


class TestSaving:
    def test_a_key_that_nobody_knows_yet_is_taken(self, bot: Bot) -> None:
        assert managing.secret_of(bot, "apiKey") == "br-the-key"

    def test_the_same_name_on_another_platform_is_another_bot(self, bot: Bot, admin: JSON) -> None:
        slack = {"botToken": "x", "signingSecret": "s", "apiKey": "k"}
        assert save(admin, name="helper", provider="slack", config=slack).status_code == 200

    def test_bad_input_changes_nothing(self, bot: Bot, admin: JSON) -> None:
        for body in ({"config": "{"}, {"config": {"appId": "cli_1"}}, {"name": "a/b"}, {"provider": "slack"}):
            assert save(admin, id=bot.pk, **body).status_code == 400
        assert stored(bot) == CONFIG
        assert Bot.objects.get().name == "helper"

    def test_true_status_codes_are_told_where_they_are_wanted(self, bot: Bot, admin: JSON, settings: Any) -> None:
        settings.TRUE_STATUS_CODES = True
        assert save(admin, name="helper", provider="feishu", config=CONFIG).status_code == 409
        assert save(admin, id=bot.pk + 1, name="x").status_code == 404
