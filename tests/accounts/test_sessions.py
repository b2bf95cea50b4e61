"""Log-ins of programs: what each token is good for, and when it is over."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.errors import InvalidToken, TokenExpired, TokenReused
from accounts.models import RefreshToken, User
from accounts.services import sessions, tokens
from accounts.services.sessions import UserInactive


@pytest.fixture
def bob(database: None) -> User:
    return User.objects.create_user("bob", "bob@example.com", "correct horse")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock on, counted from just after the test's start."""
    started = timezone.now() + timedelta(seconds=30)

    def move(by: timedelta) -> None:
        moved: datetime = started + by
        monkeypatch.setattr(timezone, "now", lambda: moved)

    return move


def test_the_access_token_names_the_user_for_an_hour(bob: User) -> None:
    session = sessions.start(user=bob)
    assert tokens.read(session.access_token) == bob
    assert session.expires_in == 3600


def test_only_a_digest_of_the_refresh_token_is_kept(bob: User) -> None:
    session = sessions.start(user=bob)
    row = RefreshToken.objects.get()
    assert session.refresh_token not in [str(value) for value in vars(row).values()]
    assert session.refresh_token not in repr(session)


def test_each_refresh_token_is_good_once(bob: User) -> None:
    first = sessions.start(user=bob)
    second = sessions.refresh(token=first.refresh_token)
    third = sessions.refresh(token=second.refresh_token)
    assert len({each.refresh_token for each in (first, second, third)}) == 3
    assert tokens.read(third.access_token) == bob


def test_one_that_comes_back_ends_its_whole_log_in_and_no_other(bob: User) -> None:
    first, other = sessions.start(user=bob), sessions.start(user=bob)
    second = sessions.refresh(token=first.refresh_token)
    with pytest.raises(TokenReused):
        sessions.refresh(token=first.refresh_token)
    with pytest.raises(TokenExpired):
        sessions.refresh(token=second.refresh_token)
    assert sessions.refresh(token=other.refresh_token).user == bob


def test_a_refresh_token_ends_after_seven_days(bob: User, at: Callable[[timedelta], None]) -> None:
    session = sessions.start(user=bob)
    at(timedelta(days=7))
    with pytest.raises(TokenExpired):
        sessions.refresh(token=session.refresh_token)


def test_no_refreshing_goes_on_beyond_thirty_days(bob: User, at: Callable[[timedelta], None]) -> None:
    session = sessions.start(user=bob)
    for day in (6, 12, 18, 24, 29):
        at(timedelta(days=day))
        session = sessions.refresh(token=session.refresh_token)
    at(timedelta(days=30))
    with pytest.raises(TokenExpired):
        sessions.refresh(token=session.refresh_token)


def test_a_log_out_ends_the_log_in(bob: User) -> None:
    first = sessions.start(user=bob)
    second = sessions.refresh(token=first.refresh_token)
    sessions.end(token=first.refresh_token)
    with pytest.raises(TokenExpired):
        sessions.refresh(token=second.refresh_token)


def test_a_log_out_with_an_unknown_token_ends_nothing(bob: User) -> None:
    session = sessions.start(user=bob)
    sessions.end(token="unknown")
    assert sessions.refresh(token=session.refresh_token).user == bob


def test_all_log_ins_of_somebody_can_be_ended(bob: User) -> None:
    each = [sessions.start(user=bob), sessions.start(user=bob)]
    carol = sessions.start(user=User.objects.create_user("carol"))
    sessions.end_all(user=bob)
    for session in each:
        with pytest.raises(TokenExpired):
            sessions.refresh(token=session.refresh_token)
    assert sessions.refresh(token=carol.refresh_token).user.username == "carol"


def test_a_new_password_ends_all_log_ins(bob: User) -> None:
    session = sessions.start(user=bob)
    bob.set_password("another horse")
    bob.save()
    with pytest.raises(TokenExpired):
        sessions.refresh(token=session.refresh_token)


def test_somebody_switched_off_goes_no_further(bob: User) -> None:
    session = sessions.start(user=bob)
    User.objects.update(is_active=False)
    with pytest.raises(UserInactive):
        sessions.refresh(token=session.refresh_token)


@pytest.mark.parametrize("text", ["", "unknown", "é", "a.b.c"])
def test_what_is_no_refresh_token_is_refused(bob: User, text: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        sessions.refresh(token=text)
    assert caught.type is InvalidToken


def test_an_access_token_refreshes_nothing(bob: User) -> None:
    with pytest.raises(InvalidToken):
        sessions.refresh(token=sessions.start(user=bob).access_token)


def test_tokens_that_are_over_are_cleared_away_by_the_next_log_in(bob: User, at: Callable[[timedelta], None]) -> None:
    sessions.start(user=bob)
    at(timedelta(days=8))
    sessions.start(user=bob)
    assert RefreshToken.objects.count() == 1


def test_of_two_that_refresh_at_once_one_is_refused(bob: User) -> None:
    session = sessions.start(user=bob)
    barrier, outcomes = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        try:
            sessions.refresh(token=session.refresh_token)
            outcomes.append("next")
        except (TokenReused, TokenExpired) as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["TokenReused", "next"]
    assert not RefreshToken.objects.filter(revoked_at=None).exists()
