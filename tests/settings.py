"""Settings for the tests: the gateway's own, with fixed secrets and a database that is thrown away."""

import os
import tempfile

os.environ.setdefault("VAR_DIR", tempfile.mkdtemp(prefix="weighbridge-test-"))
os.environ.setdefault("SECRET_KEY", "test-" + "k" * 60)
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "bm90LWEtc2VjcmV0LXVzZWQtb25seS1pbi10ZXN0cyE=")
os.environ.setdefault("API_KEY_PEPPER", "test-pepper-" + "p" * 30)

from gateway.settings import *  # noqa: E402, F403

DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["VAR_DIR"], "test.sqlite3")} if "sqlite3" in DATABASES["default"]["ENGINE"] else {}  # noqa: E501, F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
