"""Who logs in to the console. Django's own groups are not used: a Group here is a group of keys."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group as DjangoGroup
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.models import User
from common.console import ModelAdmin

if TYPE_CHECKING:
    PlainUserAdmin = DjangoUserAdmin[User]
else:
    PlainUserAdmin = DjangoUserAdmin

admin.site.unregister(DjangoGroup)


@admin.register(User)
class UserAdmin(PlainUserAdmin, ModelAdmin):
    """Django's page in the console's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_superuser", "is_active", "last_login")
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
