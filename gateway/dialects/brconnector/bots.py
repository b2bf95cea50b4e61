"""/admin/bot-connector, and the older /admin/bot/feishu, which knows one platform alone (contract A2.7)."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from chat.models import Bot, BotPlatform
from chat.services.bots import managing
from chat.services.bots.platforms import PLATFORMS
from gateway.dialects.brconnector import schema_bots as schema
from gateway.dialects.brconnector.bodies import body_of, known, object_in, required, row_in, text_in
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.lists import containing, listed, one, page_of
from gateway.dialects.brconnector.refusals import Refusal
from gateway.dialects.brconnector.values import path_id, time_text

JSON = dict[str, Any]


class BotView(AdminView):
    """`platform`: the only one that the address is for."""

    platform: ClassVar[str] = ""

    def bots(self) -> QuerySet[Bot]:
        bots = Bot.objects.order_by("-id")
        return bots.filter(platform=self.platform) if self.platform else bots

    def find(self, body: JSON) -> Bot:
        """The bot whose number the body has. Raises Refusal."""
        return row_in(body, self.bots(), "bot")


class BotList(BotView):
    @schema.LIST
    def get(self, request: Request) -> Response:
        page = page_of(request)
        return ok(listed(containing(self.bots(), page.q, "name", "platform"), page, shape))


class BotPlatforms(BotView):
    @schema.PLATFORMS
    def get(self, request: Request) -> Response:
        return ok([self.platform] if self.platform else list(PLATFORMS))


class BotDetail(BotView):
    @schema.DETAIL
    def get(self, request: Request, id: str) -> Response:
        return ok(one(self.bots(), path_id(id), shape))


class BotDelete(BotView):
    @schema.DELETE
    def post(self, request: Request) -> Response:
        self.find(body_of(request)).delete()
        return ok(True)


class BotSave(BotView):
    @schema.SAVE
    def post(self, request: Request) -> Response:
        body = body_of(request)
        is_change = bool(body.get("id")) or is_bare(body)
        return ok(self.told(self._changed(body) if is_change else self._made(body), is_change=is_change))

    def told(self, bot: Bot, *, is_change: bool) -> JSON:
        return {name: value for name, value in shape(bot).items() if name != "config"}

    def _made(self, body: JSON) -> Bot:
        name = required(body, "name")
        platform = self.platform or required(body, "provider")
        config = object_in(body, "config")
        if not config:
            raise Refusal("config is required")
        return managing.make(name=name, platform=platform, config=config)

    def _changed(self, body: JSON) -> Bot:
        bot = self.find(body) if body.get("id") else self._owner(body)
        given = {name: value for name, value in body.items() if name != "id"}
        config = managing.merge(bot=bot, config=given) if is_bare(body) else object_in(body, "config")
        if not self.platform and text_in(body, "provider", bot.platform) != bot.platform:
            raise Refusal("provider can't be changed: make another bot")
        with known("bot"):
            return managing.change(bot=bot, name=text_in(body, "name") or None, config=config or None)

    def _owner(self, body: JSON) -> Bot:
        """The bot of that app."""
        app_id = text_in(body, "appId")
        found = list(self.bots().filter(platform=BotPlatform.FEISHU, config__appId=app_id)[:2])
        if len(found) != 1:
            raise Refusal(f"{'several bots have' if found else 'no bot has'} this appId: give the bot's id")
        return found[0]


def is_bare(body: JSON) -> bool:
    """A config by itself, without the bot around it: of the app that it names, unless there is an id."""
    return "appId" in body and body.keys().isdisjoint({"name", "config", "provider"})


def shape(bot: Bot) -> JSON:
    return {
        "id": bot.pk,
        "name": bot.name,
        "provider": bot.platform,
        "config": managing.shown(bot),
        "created_at": time_text(bot.created_at),
        "updated_at": time_text(bot.updated_at),
    }


@extend_schema_view(get=schema.FEISHU_LIST)
class FeishuList(BotList):
    platform = BotPlatform.FEISHU


@extend_schema_view(get=schema.FEISHU_PLATFORMS)
class FeishuPlatforms(BotPlatforms):
    platform = BotPlatform.FEISHU


@extend_schema_view(get=schema.FEISHU_DETAIL)
class FeishuDetail(BotDetail):
    platform = BotPlatform.FEISHU


@extend_schema_view(post=schema.FEISHU_DELETE)
class FeishuDelete(BotDelete):
    platform = BotPlatform.FEISHU


@extend_schema_view(post=schema.FEISHU_SAVE)
class FeishuSave(BotSave):
    """Whatever `provider` says: the documents of this address had another word there."""

    platform = BotPlatform.FEISHU

    def told(self, bot: Bot, *, is_change: bool) -> JSON:
        names = ("id", "name", "config", "updated_at") if is_change else ("id", "name")
        row = shape(bot)
        return {name: row[name] for name in names}


urlpatterns = [
    path("list", BotList.as_view()),
    path("list-providers", BotPlatforms.as_view()),
    path("detail/<str:id>", BotDetail.as_view()),
    path("save", BotSave.as_view()),
    path("delete", BotDelete.as_view()),
]
feishu_urlpatterns = [
    path("feishu/list", FeishuList.as_view()),
    path("feishu/list-providers", FeishuPlatforms.as_view()),
    path("feishu/detail/<str:id>", FeishuDetail.as_view()),
    path("feishu/save", FeishuSave.as_view()),
    path("feishu/delete", FeishuDelete.as_view()),
]
