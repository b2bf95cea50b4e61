"""Who logs in to the console. Django's own groups are not used: a Group here is a group of keys."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group as DjangoGroup
from django.contrib.auth.models import Permission
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import User
from accounts.services import members
from common.console import ModelAdmin, time_column

if TYPE_CHECKING:
    PlainUserAdmin = DjangoUserAdmin[User]
else:
    PlainUserAdmin = DjangoUserAdmin

admin.site.unregister(DjangoGroup)

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(PlainUserAdmin, ModelAdmin):
    """Django's page in the console's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "email",
        "is_staff",
        "is_superuser",
        "is_active",
        time_column("last_login", "last log-in"),
    )
    list_filter = ("is_staff", "is_superuser", "is_active")
    filter_horizontal = ("user_permissions",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        (
            "Rights",
            {
                "fields": ("is_active", "is_staff", "is_superuser", "user_permissions"),
                "description": "Staff may log in here and do what their permissions say; a superuser may do all.",
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.readonly_fields if _is_superuser(request) else (*self.readonly_fields, *RIGHTS)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            members.shut_out(user=obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_above(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_above(obj, request)


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _is_above(person: Any, request: HttpRequest) -> bool:
    """Whether somebody has rights that the asker lacks: a new password would hand them over."""
    if not isinstance(person, User) or _is_superuser(request):
        return False
    return person.is_superuser or _rights(person).exclude(pk__in=_rights(request.user).values("pk")).exists()


def _rights(person: Any) -> QuerySet[Permission]:
    return Permission.objects.filter(Q(user=person) | Q(group__user=person))
