"""The first superuser, log-ins and passwords: who gets in, who is kept out, and that nothing is told that helps."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.conf import settings as real_settings
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from accounts.errors import (
    AlreadyInitialized,
    InvalidToken,
    LockedOut,
    NoRecoveryKey,
    NotInitialized,
    PersonRefused,
    RegistrationClosed,
    UnknownPerson,
    WrongCredentials,
    WrongPassword,
    WrongRecoveryKey,
)
from accounts.models import User
from accounts.services import people, tokens

GOOD = "correct horse battery"
BETTER = "purple monkey dishwasher"
HERE = {"REMOTE_ADDR": "10.0.0.1"}
ELSEWHERE = {"REMOTE_ADDR": "10.0.0.2"}


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@example.com", GOOD)


def log_in(name: str = "admin", password: str = GOOD, origin: dict[str, str] = HERE) -> User:
    return people.log_in(name=name, password=password, origin=origin)


def reset(name: str = "admin", new: str = BETTER, **other: Any) -> User:
    return people.reset_password(name=name, new=new, **{"key": real_settings.RECOVERY_KEY, "origin": HERE, **other})


def fail(times: int, attempt: Callable[[], object], error: type[Exception]) -> None:
    for _ in range(times):
        with pytest.raises(error):
            attempt()


# The first


@pytest.mark.django_db
def test_the_first_person_is_a_superuser_who_logs_in() -> None:
    assert not people.is_initialized()
    made = people.initialize(email="a@example.com", password=GOOD)
    assert (made.is_superuser, made.is_staff, made.email) == (True, True, "a@example.com")
    assert people.is_initialized()
    assert log_in("a@example.com") == made


def test_there_is_no_second_first(admin: User) -> None:
    with pytest.raises(AlreadyInitialized):
        people.initialize(email="b@example.com", password=GOOD)
    User.objects.update(is_active=False)
    with pytest.raises(AlreadyInitialized):
        people.initialize(email="b@example.com", password=GOOD)
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short", "password", "someone@example.com", "12"])
def test_a_poor_password_makes_nobody(password: str) -> None:
    with pytest.raises(ValidationError):
        people.initialize(email="someone@example.com", password=password)
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"username": "a@example.com"}, {"username": "a", "email": "A@example.com"}])
def test_a_name_that_is_taken_makes_nobody(fields: dict[str, str]) -> None:
    User.objects.create_user(**fields)
    with pytest.raises(ValidationError):
        people.initialize(email="a@example.com", password=GOOD)
    assert not people.is_initialized()


def test_of_many_at_once_one_is_first(database: None) -> None:
    def ask(number: int) -> str:
        try:
            return people.initialize(email=f"{number}@example.com", password=GOOD).email
        except (RegistrationClosed, AlreadyInitialized) as error:
            return type(error).__name__
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert User.objects.count() == 1
    assert [each for each in answers if "@" in each] == [User.objects.get().email]


# Log-in


@pytest.mark.parametrize("name", ["admin", "admin@example.com", "Admin@Example.COM"])
def test_a_name_and_an_e_mail_are_as_good(admin: User, name: str) -> None:
    assert log_in(name) == admin
    admin.refresh_from_db()
    assert admin.last_login is not None
    assert AccessLog.objects.get().username == "admin"


def test_a_log_in_opens_no_session(admin: User) -> None:
    log_in()
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong"), ("nobody", GOOD), ("", GOOD), ("ADMIN", GOOD), ("admin", "")]
)
def test_all_that_is_wrong_is_refused_alike(admin: User, name: str, password: str) -> None:
    with pytest.raises(WrongCredentials) as told:
        log_in(name, password)
    assert str(told.value) == "The name or the password is wrong."


def test_somebody_switched_off_is_kept_out(admin: User) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(WrongCredentials):
        log_in()


def test_an_e_mail_of_two_is_nobody_s(admin: User) -> None:
    User.objects.create_user("other", "admin@example.com", GOOD)
    with pytest.raises(WrongCredentials):
        log_in("admin@example.com")


def test_too_many_failures_lock_out_even_the_right_password(admin: User, settings: Any) -> None:
    fail(settings.AXES_FAILURE_LIMIT - 1, lambda: log_in(password="wrong"), WrongCredentials)
    with pytest.raises(LockedOut):
        log_in(password="wrong")
    with pytest.raises(LockedOut) as told:
        log_in()
    assert told.value.retry_after == 900
    assert log_in(origin=ELSEWHERE) == admin


def test_failures_by_name_and_by_e_mail_are_counted_together(admin: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 4
    fail(2, lambda: log_in("admin", "wrong"), WrongCredentials)
    fail(1, lambda: log_in("admin@example.com", "wrong"), WrongCredentials)
    with pytest.raises(LockedOut):
        log_in("ADMIN@example.com", "wrong")


def test_a_lock_out_of_the_console_holds_here_and_the_other_way_round(admin: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    console = Client(REMOTE_ADDR=HERE["REMOTE_ADDR"])
    page = "/admin/login/"
    for _ in range(2):
        console.post(page, {"username": "admin", "password": "wrong"})
    fail(2, lambda: log_in(password="wrong"), LockedOut)
    assert console.post(page, {"username": "admin", "password": GOOD}).status_code == 429
    with pytest.raises(LockedOut):
        log_in()


def test_a_log_in_forgets_the_failures(admin: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        fail(2, lambda: log_in(password="wrong"), WrongCredentials)
        log_in()
    assert not AccessAttempt.objects.exists()


# Passwords


def test_a_changed_password_ends_tokens_and_logs_in(admin: User) -> None:
    token = tokens.issue(user=admin)
    people.change_password(user=admin, current=GOOD, new=BETTER, origin=HERE)
    assert log_in(password=BETTER) == admin
    with pytest.raises(InvalidToken):
        tokens.read(token)


@pytest.mark.parametrize("current", ["", "wrong"])
def test_the_present_password_is_asked_for(admin: User, current: str) -> None:
    with pytest.raises(WrongPassword):
        people.change_password(user=admin, current=current, new=BETTER, origin=HERE)
    assert log_in() == admin


def test_a_poor_new_password_changes_nothing(admin: User) -> None:
    for new in ("short", "password", "admin@example.com"):
        with pytest.raises(ValidationError):
            people.change_password(user=admin, current=GOOD, new=new, origin=HERE)
        with pytest.raises(ValidationError):
            reset(new=new)
    assert log_in() == admin


def test_guessing_the_present_password_is_locked_out_too(admin: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3

    def guess(current: str = "wrong") -> User:
        return people.change_password(user=admin, current=current, new=BETTER, origin=HERE)

    fail(2, guess, WrongPassword)
    fail(1, guess, LockedOut)
    with pytest.raises(LockedOut):
        guess(GOOD)


def test_somebody_without_a_password_sets_one(admin: User) -> None:
    admin.set_unusable_password()
    admin.save()
    people.change_password(user=admin, current="", new=BETTER, origin=HERE)
    assert log_in(password=BETTER) == admin


# Recovery


def test_the_recovery_key_sets_a_password_that_logs_in(admin: User) -> None:
    token = tokens.issue(user=admin)
    assert reset("Admin@example.com") == admin
    assert log_in(password=BETTER) == admin
    with pytest.raises(InvalidToken):
        tokens.read(token)


def test_a_recovered_person_is_not_locked_out_any_more(admin: User, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    fail(1, lambda: log_in(password="wrong"), WrongCredentials)
    fail(1, lambda: log_in(password="wrong"), LockedOut)
    reset()
    assert log_in(password=BETTER) == admin


@pytest.mark.parametrize("key", ["", "wrong", "Ünïcode"])
@pytest.mark.parametrize("name", ["admin", "nobody"])
def test_a_wrong_recovery_key_tells_nothing_of_names(admin: User, key: str, name: str) -> None:
    with pytest.raises(WrongRecoveryKey):
        reset(name, key=key)
    assert log_in() == admin


def test_its_holder_learns_that_nobody_has_the_name(admin: User) -> None:
    with pytest.raises(UnknownPerson):
        reset("nobody")
    User.objects.update(is_active=False)
    with pytest.raises(UnknownPerson):
        reset()


def test_five_wrong_recovery_keys_are_the_last(admin: User) -> None:
    fail(5, lambda: reset(key="wrong"), WrongRecoveryKey)
    with pytest.raises(LockedOut):
        reset()
    assert reset(origin=ELSEWHERE) == admin


def test_without_a_recovery_key_nobody_recovers(admin: User, settings: Any) -> None:
    settings.RECOVERY_KEY = ""
    for key in ("", "anything"):
        with pytest.raises(NoRecoveryKey):
            reset(key=key)
    assert log_in() == admin


@pytest.mark.django_db
def test_before_the_first_person_nothing_is_recovered() -> None:
    with pytest.raises(NotInitialized):
        reset()


def test_no_password_or_key_is_logged(admin: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ("wrong-secret-1", "wrong-secret-2", "wrong-secret-3")
    attempts: list[Callable[[], object]] = [
        lambda: log_in(password=secrets[0]),
        lambda: reset(key=secrets[1]),
        lambda: people.change_password(user=admin, current=secrets[2], new=BETTER, origin=HERE),
    ]
    for attempt in attempts:
        fail(1, attempt, PersonRefused)
    assert caplog.text
    stored = str([list(AccessAttempt.objects.values()), caplog.text])
    assert not [secret for secret in secrets if secret in stored]
