from django.urls import path, re_path

from gateway.dialects.langbot.apikeys import KeyDetail, KeyList
from gateway.dialects.langbot.envelope import Unknown
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
    path("provider/requesters", RequesterList.as_view()),
    path("provider/requesters/<str:name>", RequesterDetail.as_view()),
    path("provider/requesters/<str:name>/icon", RequesterIcon.as_view()),
    # The last: every other path that is this dialect's and nobody else's.
    re_path(r"^(?:user|system|apikeys|provider)(?:/(?s:.*))?\Z", Unknown.as_view()),
]
