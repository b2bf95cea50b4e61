"""A bot, its platform, and a model behind it: what tests of bots share."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from accounts.models import Charge
from accounts.services.keys import IssuedKey
from chat.models import Bot, BotEvent, BotPlatform
from chat.services.bots import managing
from common.models import Job
from gateway.jobs import runner
from tests.fakes import feishu, webhook
from tests.fakes.feishu import FakeFeishu
from tests.fakes.openai import FakeOpenAI

JSON = dict[str, Any]


@dataclass
class Chat:
    """People talk to a Feishu bot named helper. `tell` is what the platform does, `work` what a worker does."""

    feishu: FakeFeishu
    upstream: FakeOpenAI
    key: IssuedKey
    bot: Bot

    def tell(self, body: JSON, headers: dict[str, str] | None = None, *, key: str = "") -> Any:
        """Encrypted and signed where there is a key."""
        sent = feishu.encrypted(body, key) if key else body
        raw = json.dumps(sent).encode()
        proof = feishu.signed(raw, key) if key else {}
        return post(f"/bot/feishu/{self.bot.name}/webhook/event", raw, {**proof, **(headers or {})})

    def ask(self, text: str = "Hello", **fields: Any) -> JSON:
        """Say something, and see what stands in the newest card when the bot is done."""
        answer = self.tell(feishu.message_event(text, id=f"ev_{BotEvent.objects.count() + 1}", **fields))
        assert answer.status_code == 200, answer.content
        work()
        return self.feishu.answers[-1]

    def change(self, **fields: Any) -> None:
        managing.change(bot=self.bot, config={**managing.shown(self.bot), **fields})

    @property
    def asked(self) -> list[JSON]:
        """What the model was asked last."""
        return list([seen for seen in self.upstream.seen if seen.method == "POST"][-1].body["messages"])


def post(path: str, raw: bytes, headers: dict[str, str]) -> Any:
    return Client(raise_request_exception=False).post(path, raw, content_type="application/json", headers=headers)


def feishu_bot(fake: FakeFeishu, key: IssuedKey, **config: Any) -> Bot:
    return managing.make(name="helper", platform=BotPlatform.FEISHU, config=fake.config(key.secret, **config))


def webhook_bot(reply_url: str, api_key: str) -> Bot:
    config = {"signingSecret": webhook.SECRET, "replyURL": reply_url, "apiKey": api_key, "modelId": "echo"}
    return managing.make(name="helper", platform=BotPlatform.WEBHOOK, config=config)


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


def work() -> None:
    """Do the tasks that wait."""
    for job in Job.objects.unfinished():
        runner.run(job.pk)


def paid() -> int:
    return Charge.objects.count()
