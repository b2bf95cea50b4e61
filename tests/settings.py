"""Settings for the tests: the gateway's own, with fixed secrets and a database that is thrown away."""

import os
import tempfile

os.environ.setdefault("VAR_DIR", tempfile.mkdtemp(prefix="weighbridge-test-"))
os.environ.setdefault("SECRET_KEY", "test-" + "k" * 60)
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "bm90LWEtc2VjcmV0LXVzZWQtb25seS1pbi10ZXN0cyE=")
os.environ.setdefault("RECOVERY_KEY", "test-recovery-key-" + "r" * 20)
os.environ.setdefault("API_KEY_PEPPER", "test-pepper-" + "p" * 30)

from gateway.settings import *  # noqa: F403
from gateway.settings import DATABASES, STATIC_ROOT, VAR_DIR

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: the ledger's writer has a connection of its own.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = False  # each test client would look for all files anew, for 15 ms
