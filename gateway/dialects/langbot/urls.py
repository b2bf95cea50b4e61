from typing import Any

from django.urls import path, re_path

from gateway.dialects.langbot.apikeys import KeyDetail, KeyList
from gateway.dialects.langbot.envelope import Unknown
from gateway.dialects.langbot.models import (
    DefaultModel,
    EmbeddingTest,
    EmbeddingViewSet,
    LLMTest,
    LLMViewSet,
    RerankTest,
    RerankViewSet,
    Starred,
)
from gateway.dialects.langbot.providers import ProviderViewSet, ScanViewSet
from gateway.dialects.langbot.requesters import RequesterDetail, RequesterIcon, RequesterList
from gateway.dialects.langbot.system import Capabilities, Context, Info
from gateway.dialects.langbot.tasks import (
    Exports,
    ModelImport,
    ProviderCheck,
    TaskCancel,
    TaskDetail,
    TaskFile,
    TaskList,
)
from gateway.dialects.langbot.users import (
    Account,
    Credits,
    Initialization,
    LogIn,
    LogInWays,
    PasswordChange,
    PasswordReset,
    PasswordSetting,
    TokenCheck,
)

MANY: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "put": "update", "delete": "destroy"}
KINDS = {
    "llm": (LLMViewSet, LLMTest),
    "embedding": (EmbeddingViewSet, EmbeddingTest),
    "rerank": (RerankViewSet, RerankTest),
}


def models_of(kind: str) -> list[Any]:
    many, test = KINDS[kind]
    return [
        path(f"provider/models/{kind}", many.as_view(MANY)),
        path(f"provider/models/{kind}/<str:uuid>", many.as_view(ONE)),
        path(f"provider/models/{kind}/<str:uuid>/test", test.as_view()),
    ]


urlpatterns = [
    path("user/init", Initialization.as_view()),
    path("user/auth", LogIn.as_view()),
    path("user/check-token", TokenCheck.as_view()),
    path("user/reset-password", PasswordReset.as_view()),
    path("user/change-password", PasswordChange.as_view()),
    path("user/set-password", PasswordSetting.as_view()),
    path("user/info", Account.as_view()),
    path("user/account-info", LogInWays.as_view()),
    path("user/space-credits", Credits.as_view()),
    path("system/info", Info.as_view()),
    path("system/context", Context.as_view()),
    path("system/capabilities", Capabilities.as_view()),
    path("system/tasks", TaskList.as_view()),
    path("system/tasks/<str:id>", TaskDetail.as_view()),
    path("system/tasks/<str:id>/cancel", TaskCancel.as_view()),
    path("system/tasks/<str:id>/file", TaskFile.as_view()),
    path("system/exports", Exports.as_view()),
    path("provider/check", ProviderCheck.as_view()),
    path("provider/providers/<str:uuid>/import-models", ModelImport.as_view()),
    path("apikeys", KeyList.as_view()),
    path("apikeys/<int:id>", KeyDetail.as_view()),
    path("provider/providers", ProviderViewSet.as_view(MANY)),
    path("provider/providers/<str:uuid>", ProviderViewSet.as_view(ONE)),
    path("provider/providers/<str:uuid>/scan-models", ScanViewSet.as_view({"get": "retrieve"})),
    path("provider/models/llm/_/starred", Starred.as_view()),
    path("provider/models/llm/_/default", DefaultModel.as_view()),
    *(each for kind in KINDS for each in models_of(kind)),
    path("provider/requesters", RequesterList.as_view()),
    path("provider/requesters/<str:name>", RequesterDetail.as_view()),
    path("provider/requesters/<str:name>/icon", RequesterIcon.as_view()),
    # The last: every other path that is this dialect's and nobody else's.
    re_path(r"^(?:user|system|apikeys|provider)(?:/(?s:.*))?\Z", Unknown.as_view()),
]
