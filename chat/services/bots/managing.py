"""Bots made, changed and shown. Their settings are one object for whoever manages them; here its secrets lie apart."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.db import transaction

from chat.models import Bot
from chat.services.bots.platform import Field, Platform
from chat.services.bots.platforms import PLATFORMS
from common.duplicates import told_duplicate
from providers.models import check_base_url
from providers.sensitive import MASK, is_sensitive
from providers.services.providers import check_egress

JSON = dict[str, Any]

MOST_FIELDS = 50
LONGEST_VALUE = 2000
MOVED = "The address leads elsewhere: enter config.{name} again for it."
UNREADABLE = "The bot's stored secrets can't be read any more: enter all of them again."
NO_VALUE = f"{MASK} stands for a secret that was not shown: enter config.{{name}} itself."


class SettingError(ValidationError):
    """What is wrong with one setting."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def make(*, name: str, platform: str, config: Mapping[str, Any], is_enabled: bool = True) -> Bot:
    """Raises ValidationError."""
    if platform not in PLATFORMS:
        raise ValidationError(f"provider must be one of {', '.join(PLATFORMS)}.")
    bot = Bot(name=name, platform=platform, is_enabled=is_enabled)
    apply(bot=bot, config=config)
    return _stored(bot)


@transaction.atomic
def change(
    *, bot: Bot, name: str | None = None, config: Mapping[str, Any] | None = None, is_enabled: bool | None = None
) -> Bot:
    """None: as it is. `config` is the whole of it, in which a mask stands for what is stored.

    A secret that is sent to the bot's address does not go to another one unless it is entered again: whoever may
    change bots is not for that reason to be shown their secrets. Raises ValidationError, or Bot.DoesNotExist once
    it has gone.
    """
    locked = Bot.objects.select_for_update().get(pk=bot.pk)
    for column, value in (("name", name), ("is_enabled", is_enabled)):
        if value is not None:
            setattr(locked, column, value)
    if config is not None:
        apply(bot=locked, config=config)
    return _stored(locked)


def apply(*, bot: Bot, config: Mapping[str, Any]) -> None:
    """Put the settings into the row, without saving it. Raises ValidationError."""
    stored = {} if bot._state.adding else _stored_settings(bot, config)
    _set(bot, config, stored)
    _check_moved(PLATFORMS[bot.platform], stored, config)


def merge(*, bot: Bot, config: Mapping[str, Any]) -> JSON:
    """The whole of its settings with these laid over them, secrets masked."""
    return {**shown(bot), **config}


def shown(bot: Bot) -> JSON:
    """Its settings as they go out: in the order of its platform's fields, and without a secret."""
    try:
        settings = {**bot.config, **dict.fromkeys(json.loads(bot.secrets), MASK)}
    except InvalidToken:
        settings = dict(bot.config)
    names = [field.name for field in PLATFORMS[bot.platform].fields if field.name in settings]
    return {**{name: settings[name] for name in names}, **settings}


def secret_of(bot: Bot, name: str) -> str:
    """For the console, which tells whose key it is; empty where there is none, or none that can be read."""
    try:
        return str(json.loads(bot.secrets).get(name, ""))
    except InvalidToken:
        return ""


def rotate() -> int:
    """Write every bot's secrets again, under the keyring's first key. Raises InvalidToken; nothing is lost then."""
    with transaction.atomic():
        bots = list(Bot.objects.select_for_update().order_by("pk"))
        for bot in bots:
            bot.save(update_fields=["secrets"])
    return len(bots)


# What is given


def _stored_settings(bot: Bot, config: Mapping[str, Any]) -> JSON:
    try:
        return bot.settings
    except InvalidToken as error:
        if MASK in config.values():
            raise ValidationError(UNREADABLE) from error
        return dict(bot.config)


def _check_moved(platform: type[Platform], stored: JSON, config: Mapping[str, Any]) -> None:
    if _origin(platform, config) == _origin(platform, stored):
        return
    for field in platform.fields:
        if field.travels and config.get(field.name) == MASK:
            raise SettingError(field.name, MOVED.format(name=field.name))


def _origin(platform: type[Platform], settings: Mapping[str, Any]) -> tuple[str, str]:
    """Scheme and host with its port, of what may be no address at all."""
    try:
        parts = urlsplit(platform(settings).setting(platform.address))
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()


def _set(bot: Bot, config: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Into the row's two columns. Raises ValidationError."""
    fields = {field.name: field for field in PLATFORMS[bot.platform].fields}
    if len(config) > MOST_FIELDS:
        raise ValidationError(f"config has more than {MOST_FIELDS} fields.")
    given = {name: _value(name, value, fields.get(name), stored) for name, value in config.items()}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    _check(PLATFORMS[bot.platform], given)
    secrets = {name: value for name, value in given.items() if _is_secret(name, fields.get(name))}
    bot.config = {name: value for name, value in given.items() if name not in secrets}
    bot.secrets = json.dumps(secrets)


def _is_secret(name: str, field: Field | None) -> bool:
    """As its platform's table says; of a field that is in none, as its name says."""
    return field.is_secret if field else is_sensitive(name)


def _value(name: str, value: Any, field: Field | None, stored: Mapping[str, Any]) -> Any:
    """One setting, with what is stored in place of its mask. Fields that no platform knows are kept as they are."""
    if "\0" in name or len(name) > LONGEST_VALUE:
        raise ValidationError("A field of config has no name that could be stored.")
    if _is_secret(name, field) and value == MASK:
        if name not in stored:
            raise SettingError(name, NO_VALUE.format(name=name))
        return stored[name]
    allowed = (str,) if field else (str, int, float, bool)
    if value is not None and not isinstance(value, allowed):
        kinds = "text" if field else "text, a number, true or false"
        raise SettingError(name, f"config.{name} must be a {kinds}.")
    if isinstance(value, str) and ("\0" in value or len(value) > LONGEST_VALUE):
        raise SettingError(name, f"config.{name} must be a text of at most {LONGEST_VALUE} characters.")
    return value


def _check(platform: type[Platform], given: JSON) -> None:
    """What the platform needs, and an address that may be called."""
    for field in platform.fields:
        if field.is_required and not given.get(field.name):
            raise SettingError(field.name, f"config.{field.name} is required.")
    address = given.get(platform.address)
    if address:
        _check_address(platform.address, address)
    for field in platform.fields:
        if field.name in given and (problem := field.problem(given[field.name])):
            raise SettingError(field.name, f"config.{field.name} {problem}")


def _check_address(name: str, address: str) -> None:
    try:
        check_base_url(address)
        check_egress(address)
    except ValidationError as error:
        raise SettingError(name, f"config.{name}: {' '.join(error.messages)}") from error


def _stored(bot: Bot) -> Bot:
    bot.clean_fields(exclude={"secrets"})
    with told_duplicate(__all__=f"{bot.name}@[{bot.platform}] already exists"):
        bot.save()
    return bot
