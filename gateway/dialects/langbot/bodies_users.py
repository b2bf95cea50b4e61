"""The bodies of requests about accounts."""

from typing import Any

from django.core.validators import RegexValidator
from rest_framework.serializers import ChoiceField, Serializer

from accounts.services import people
from gateway.dialects.langbot.bodies import Text

LONGEST_PASSWORD = 1024
LONGEST_NAME = 254  # an e-mail


class Password(Text):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "max_length": LONGEST_PASSWORD, **options})


class Email(Text):
    """Folded, so that it is one account however it is typed. Hosts without a dot are taken: this may be an intranet."""

    def __init__(self, **options: Any) -> None:
        is_email = RegexValidator(r"^[^@\s]+@[^@\s]+$", "Enter an e-mail address.")
        super().__init__(**{"validators": [is_email], "max_length": people.LONGEST_NAME, **options})

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).casefold()


class RegistrationSerializer(Serializer[None]):
    user = Email()
    password = Password()


class LogInSerializer(Serializer[None]):
    user = Text(max_length=LONGEST_NAME)
    password = Password()


class PasswordChangeSerializer(Serializer[None]):
    current_password = Password()
    new_password = Password()


class PasswordSettingSerializer(Serializer[None]):
    new_password = Password(missing="New password is required")
    current_password = Password(required=False, allow_null=True, allow_blank=True, default="")


class PasswordResetSerializer(Serializer[None]):
    user = Text(max_length=LONGEST_NAME)
    new_password = Password()
    recovery_key = Password()
    method = ChoiceField(["recovery_key"], required=False)
