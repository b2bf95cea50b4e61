"""The system checks find what they are there for."""

from typing import Any

import pytest
from django.core.checks import run_checks

GOOD = "bm90LWEtc2VjcmV0LXVzZWQtb25seS1pbi10ZXN0cyE="


def ids(deploy: bool = False) -> list[str]:
    return [
        message.id or "" for message in run_checks(include_deployment_checks=deploy) if "weighbridge" in str(message.id)
    ]


def test_good_settings_pass() -> None:
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("FIELD_ENCRYPTION_KEYS", ["short"], "weighbridge.E001"),
        ("FIELD_ENCRYPTION_KEYS", [GOOD, ""], "weighbridge.E001"),
        ("API_KEY_PEPPER", "short", "weighbridge.E002"),
        ("RECOVERY_KEY", "short", "weighbridge.E006"),
    ],
)
def test_a_bad_secret_is_an_error(settings: Any, name: str, value: Any, found: str) -> None:
    setattr(settings, name, value)
    assert ids() == [found]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [("EGRESS_ALLOW_PRIVATE", True, "weighbridge.W001"), ("ALLOWED_HOSTS", ["*"], "weighbridge.W002")],
)
def test_an_open_door_is_a_warning_in_production(settings: Any, name: str, value: Any, found: str) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    assert ids(deploy=True) == []
    setattr(settings, name, value)
    assert ids(deploy=True) == [found]
    assert ids() == []
