"""Provider secrets at rest."""

import os

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.db import connection
from django.test import override_settings

from providers.models import ProviderKey
from providers.services.rotation import rotate
from tests import factories

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def stored() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM providers_providerkey")
        return bytes(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def _key(db: None) -> None:
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD]):
        factories.provider(secret="sk-very-secret-1234")


def test_the_database_holds_no_plain_text() -> None:
    assert b"very-secret" not in stored()
    with override_settings(FIELD_ENCRYPTION_KEYS=[OLD]):
        assert ProviderKey.objects.get().secret == "sk-very-secret-1234"
        assert ProviderKey.objects.get().masked == "…1234"


def test_rotation_moves_every_secret_to_the_first_key() -> None:
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW, OLD]):
        assert ProviderKey.objects.get().secret == "sk-very-secret-1234"
        before = stored()
        assert rotate() == 1
        assert stored() != before
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]):
        assert ProviderKey.objects.get().secret == "sk-very-secret-1234"


def test_a_wrong_key_raises_and_never_yields_the_token() -> None:
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]), pytest.raises(InvalidToken):
        ProviderKey.objects.get()


def test_a_rotation_without_the_old_key_changes_nothing() -> None:
    before = stored()
    with override_settings(FIELD_ENCRYPTION_KEYS=[NEW]), pytest.raises(InvalidToken):
        rotate()
    assert stored() == before


def test_a_secrets_file_is_its_owners_only(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway import secrets

    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    path = secrets.ensure()
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert [line.split("=")[0] for line in text.splitlines()] == [
        "SECRET_KEY",
        "FIELD_ENCRYPTION_KEYS",
        "API_KEY_PEPPER",
        "RECOVERY_KEY",
    ]
    assert secrets.ensure().read_text() == text
