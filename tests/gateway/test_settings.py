"""Settings are loud when wrong: the real program, with a real environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "API_KEY_PEPPER", "VAR_DIR", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    secrets = {"SECRET_KEY": "s" * 60, "FIELD_ENCRYPTION_KEYS": "k", "API_KEY_PEPPER": "p" * 40}
    variables = {**kept, **secrets, "VAR_DIR": str(tmp_path), **environment}
    command = [sys.executable, "-c", "import gateway.settings as s; print(s.DATABASES['default']['ENGINE'])"]
    return subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, timeout=30)


def test_the_defaults_are_sqlite_in_var(tmp_path: Path) -> None:
    assert check(tmp_path).stdout.strip() == "django.db.backends.sqlite3"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is not set"),
        ("API_KEY_PEPPER", "", "API_KEY_PEPPER is not set"),
        ("FIELD_ENCRYPTION_KEYS", "", "FIELD_ENCRYPTION_KEYS is not set"),
        ("DATABASE_URL", "mysql://root@host/db", "DATABASE_URL starts with"),
        ("SQLITE_SYNCHRONOUS", "OFF", "SQLITE_SYNCHRONOUS is NORMAL or FULL"),
        ("DATABASE_URL", "foo", "DATABASE_URL starts with"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is"),
        ("TIME_ZONE", "Mars/Olympus", "is not a time zone"),
        ("MAX_BODY_BYTES", "lots", "MAX_BODY_BYTES"),
        ("EGRESS_ALLOW_PRIVATE", "perhaps", "EGRESS_ALLOW_PRIVATE"),
    ],
)
def test_a_wrong_value_stops_the_start(tmp_path: Path, name: str, value: str, message: str) -> None:
    done = check(tmp_path, **{name: value})
    assert done.returncode != 0
    assert message in done.stderr


def test_the_mail_server_is_one_url(tmp_path: Path) -> None:
    secrets = {"SECRET_KEY": "k", "FIELD_ENCRYPTION_KEYS": "f", "API_KEY_PEPPER": "p", "VAR_DIR": str(tmp_path)}
    url = "smtp+ssl://me%40x.example:p%2Fw@mail.example"
    show = "import gateway.settings as s; print(s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD, "
    show += "s.EMAIL_USE_TLS, s.EMAIL_USE_SSL)"
    command = [sys.executable, "-c", show]
    done = subprocess.run(command, env={**os.environ, **secrets, "EMAIL_URL": url}, capture_output=True, text=True)
    assert done.stdout.split() == ["mail.example", "465", "me@x.example", "p/w", "False", "True"], done.stderr


@pytest.mark.parametrize(
    "url", ["mail.example", "http://user:sesame@mail.example", "smtp://:sesame@", "smtp://x:sesame"]
)
def test_a_wrong_mail_server_is_said_without_its_password(tmp_path: Path, url: str) -> None:
    done = check(tmp_path, EMAIL_URL=url)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "EMAIL_URL" in last
    assert "sesame" not in last


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file" * 6)
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    others = {"FIELD_ENCRYPTION_KEYS": "k", "API_KEY_PEPPER": "p" * 40, "VAR_DIR": str(tmp_path)}
    variables = {**kept, **others, "SECRET_KEY_FILE": str(secret)}
    command = [sys.executable, "-c", "import gateway.settings as s; print(s.SECRET_KEY)"]
    done = subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, timeout=30)
    assert done.stdout.strip() == "from-a-file" * 6


@pytest.mark.parametrize(
    ("environment", "message"),
    [({"PORT": "many"}, "PORT is"), ({"VAR_DIR": "/proc/nowhere"}, "/proc/nowhere"), ({"DEBUG": "maybe"}, "DEBUG is")],
)
def test_a_start_that_fails_says_so_in_one_line(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    variables = {**kept, "VAR_DIR": str(tmp_path), **environment}
    command = [sys.executable, "manage.py", "up"]
    done = subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, timeout=30)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_secrets_of_an_earlier_version_still_start(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(
        f"SECRET_KEY={'s' * 60}\nFIELD_ENCRYPTION_KEYS=k\nAPI_KEY_PEPPER={'p' * 40}\n"
    )
    kept = {name: value for name, value in os.environ.items() if name not in (*OURS, "RECOVERY_KEY")}
    command = [sys.executable, "-c", "import gateway.settings as s; print(repr(s.RECOVERY_KEY))"]
    variables = {**kept, "VAR_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=variables, text=True, capture_output=True, timeout=30)
    assert done.stdout.strip() == "''", done.stderr
