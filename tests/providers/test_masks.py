"""Which values are secret by their names, and what a mask that comes back stands for."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from providers.sensitive import is_sensitive, masked
from providers.services.masks import keeps_stored, unmasked

# Contract 1.5.
SECRET = (
    *("api_key", "api_keys", "apikey", "apikeys", "auth", "authorization", "cookie", "credentials", "dsn", "key"),
    *("database_url", "header_value", "webhook_url", "set_cookie", "proxy_authorization", "Proxy-Authorization"),
    *("my_apikey", "credential", "db-passwd", "userPassword", "client_secret", "accessToken", "X-Token", "API-Key"),
    *("access_key", "clientKeys", "encryption key", "private.key", "signingKey", "debug_key", "bearer_key"),
)
PLAIN = ("max_tokens", "tokens", "keys", "keyboard", "author", "monkey", "cookies", "secrets", "temperature", "key_id")


@pytest.mark.parametrize("name", SECRET)
def test_a_name_says_that_its_value_is_secret(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", PLAIN)
def test_other_names_do_not(name: str) -> None:
    assert not is_sensitive(name)


STORED: dict[str, Any] = {
    "token": "t",
    "seed": 1,
    "auth": {"user": "u", "codes": [1, None, ""], "is_on": False},
    "list": [{"password": "p", "n": 0}],
    "headers": {"X-Any": "h"},
}
SHOWN: dict[str, Any] = {
    "token": "***",
    "seed": 1,
    "auth": {"user": "***", "codes": ["***", None, ""], "is_on": "***"},
    "list": [{"password": "***", "n": 0}],
    "headers": {"X-Any": "***"},
}


def test_every_leaf_under_such_a_name_is_masked_and_comes_back() -> None:
    assert masked(STORED) == SHOWN
    assert unmasked(SHOWN, STORED) == STORED


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"token": "***"}, {}),
        ({"token": "***"}, {"token": ""}),
        ({"token": "***"}, {"token": {"a": 1}}),
        ({"auth": {"new": "***"}}, {"auth": {"old": "x"}}),
        ({"list": [{}, {"password": "***"}]}, {"list": [{"password": "p"}]}),
        ({"headers": {"X-New": "***"}}, {"headers": {"X-Old": "x"}}),
    ],
)
def test_a_mask_that_nothing_is_behind_is_refused(sent: Any, stored: Any) -> None:
    with pytest.raises(ValidationError, match="Masked secret has no existing value"):
        unmasked(sent, stored)


def test_three_stars_elsewhere_are_three_stars() -> None:
    assert unmasked({"stop": "***", "a": ["***"]}, {}) == {"stop": "***", "a": ["***"]}


@pytest.mark.parametrize(
    ("value", "sent", "keeps"),
    [
        (STORED, SHOWN, True),
        (STORED, {}, True),
        (STORED, None, True),
        (STORED, STORED, False),
        ({"seed": 1}, {}, False),
        ({"token": "t"}, {"token": "t"}, False),
        ({"auth": {"a": "x", "b": "y"}}, {"auth": {"a": "x"}}, True),
        ({"auth": ["x"]}, {"auth": []}, True),
        ({"token": ""}, {}, False),
    ],
)
def test_what_was_not_sent_in_clear_is_kept_from_before(value: Any, sent: Any, keeps: bool) -> None:
    assert keeps_stored(value, sent) is keeps
