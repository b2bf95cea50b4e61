"""The gateway's own secrets: a few lines in `var/secrets.env`, made once, readable by their owner only."""

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


def var_dir() -> Path:
    """The folder for what the gateway writes: database, secrets, journals. `VAR_DIR` moves it."""
    return Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").resolve()


def generate() -> dict[str, str]:
    """Fresh values under the names that the settings read."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "API_KEY_PEPPER": secrets.token_urlsafe(32),
        "RECOVERY_KEY": secrets.token_urlsafe(32),
    }


def ensure() -> Path:
    """Make `secrets.env` when it is missing; never overwrite it, since stored secrets depend on it."""
    path = var_dir() / "secrets.env"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_private(path, "".join(f"{name}={value}\n" for name, value in generate().items()))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that is never, not for a moment, readable by others (mode 600), and replace it in one step."""
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    scratch.replace(path)
