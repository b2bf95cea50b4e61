"""All settings, from the environment (or `var/secrets.env`), loud when wrong. The README has the table."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from gateway.secrets import BASE_DIR, var_dir

env = environ.FileAwareEnv()  # NAME_FILE=/run/secrets/name works for every setting
FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
VAR_DIR = var_dir()
if (VAR_DIR / "secrets.env").is_file():
    environ.Env.read_env(VAR_DIR / "secrets.env")  # what the environment already says wins


def required(name: str) -> str:
    """A setting without a default: a made-up secret would be a hole."""
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. `make run` makes one; production sets it itself.")
    return str(value)


def number(name: str, *, default: int) -> int:
    """A whole number of 0 or more, named when it is none."""
    value = env.str(name, default=str(default)).strip()
    if not value.isdecimal():
        raise ImproperlyConfigured(f"{name} is a whole number, not {value!r}.")
    return int(value)


def flag(name: str, *, default: bool) -> bool:
    """A yes or no. The library reads every word that it does not know as no, which is no way to open or shut a door."""
    value = env.str(name, default=str(default)).strip().lower()
    if value not in FLAGS:
        raise ImproperlyConfigured(f"{name} is true or false, not {value!r}.")
    return FLAGS[value]


# Secrets
SECRET_KEY = required("SECRET_KEY")
FIELD_ENCRYPTION_KEYS = required("FIELD_ENCRYPTION_KEYS").split(",")
API_KEY_PEPPER = required("API_KEY_PEPPER")
RECOVERY_KEY = env.str("RECOVERY_KEY", default="")  # without one nobody resets a password through the API

# Web
DEBUG = flag("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECURE_SSL = flag("SECURE_SSL", default=False)
SECURE_SSL_REDIRECT = SECURE_SSL
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("TRUST_PROXY", default=False) else None
SECURE_HSTS_SECONDS = number("HSTS_SECONDS", default=31_536_000 if SECURE_SSL else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_SSL
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL
SESSION_COOKIE_NAME = "weighbridge_session"
ROOT_URLCONF = "gateway.urls"
WSGI_APPLICATION = "gateway.wsgi.application"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_tasks",
    "django_tasks_db",
    "common",
    "providers",
    "accounts",
    "chat",
    "gateway",
]

MIDDLEWARE = [
    "gateway.middleware.traffic_lane",  # calls leave the stack here: no session, CSRF or log-in runs on them
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database
SQLITE_DURABILITY = env.str("SQLITE_SYNCHRONOUS", default="NORMAL").upper()
if SQLITE_DURABILITY not in ("NORMAL", "FULL"):
    raise ImproperlyConfigured("SQLITE_SYNCHRONOUS is NORMAL or FULL.")
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 5,  # seconds in which this process stands still when another holds the lock; the ledger waits otherwise
    "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={SQLITE_DURABILITY}; PRAGMA cache_size=-16000;",
}
DATABASE_POOL_SIZE = number("DATABASE_POOL_SIZE", default=8)
# A greenlet opens its own connection; a pool keeps thousands of them from reaching the server.
POSTGRESQL_OPTIONS = {
    "pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10},
    # A server that has vanished without a word is noticed within half a minute.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}


DATABASE_SCHEMES = ("sqlite:///", "postgres://", "postgresql://")


def database(url: str) -> dict[str, Any]:
    """One entry of DATABASES from a URL, with what this gateway needs of either engine."""
    if not url.startswith(DATABASE_SCHEMES):
        raise ImproperlyConfigured("DATABASE_URL starts with sqlite:/// or postgres://.")
    config = dict(environ.Env.db_url_config(url))
    engine = str(config.get("ENGINE", ""))
    if engine.endswith("sqlite3"):
        return {**config, "OPTIONS": SQLITE_OPTIONS}
    return {**config, "OPTIONS": {**config.get("OPTIONS", {}), **POSTGRESQL_OPTIONS}}


DATABASES = {"default": database(env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'weighbridge.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared cache: console sessions only. What is right never depends on it.
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# Work that outlasts a request: a queue in the same database
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "bots"]}}

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AXES_FAILURE_LIMIT = number("LOGIN_FAILURE_LIMIT", default=8)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
LOGIN_URL = reverse_lazy("admin:login")

# Mail, for notices of limits
MAIL_SCHEMES = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


def mail_server(url: str) -> dict[str, Any]:
    """Where mail goes, by a URL; no error repeats it, as it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port or MAIL_SCHEMES[parts.scheme]
    except (KeyError, ValueError):
        raise ImproperlyConfigured("EMAIL_URL is like smtp+tls://user:password@host:587.") from None
    if not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL names no host.")
    return {
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "tls": parts.scheme == "smtp+tls",
        "ssl": parts.scheme == "smtp+ssl",
    }


EMAIL_URL = env.str("EMAIL_URL", default="")  # without one no mail is sent
MAIL_SERVER = mail_server(EMAIL_URL or "smtp://localhost")
EMAIL_HOST, EMAIL_PORT = MAIL_SERVER["host"], MAIL_SERVER["port"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER["user"], MAIL_SERVER["password"]
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SERVER["tls"], MAIL_SERVER["ssl"]
EMAIL_TIMEOUT = 10  # seconds, for each step
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Weighbridge <weighbridge@localhost>")

# Language, time
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")  # the month of a quota turns in this zone
try:
    ZoneInfo(TIME_ZONE)
except (KeyError, ValueError):
    raise ImproperlyConfigured(f"TIME_ZONE {TIME_ZONE!r} is not a time zone such as Europe/Berlin.") from None

# Static files: all from this host
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
WHITENOISE_USE_FINDERS = True  # serves the wheels' own files, so `collectstatic` is optional
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],  # Alpine, in the console
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    }
}

# Calls
MAX_BODY_BYTES = number("MAX_BODY_BYTES", default=20 * 1024 * 1024)
BODY_SECONDS = number("BODY_SECONDS", default=120)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DEFAULT_MAX_OUTPUT_TOKENS = number("DEFAULT_MAX_OUTPUT_TOKENS", default=4096)
STREAM_KEEPALIVE_SECONDS = number("STREAM_KEEPALIVE_SECONDS", default=15)
EGRESS_ALLOW_PRIVATE = flag("EGRESS_ALLOW_PRIVATE", default=True)
UPSTREAM_POOL_SIZE = number("UPSTREAM_POOL_SIZE", default=1000)
HISTORY = flag("HISTORY", default=True)
HISTORY_DAYS = number("HISTORY_DAYS", default=0)  # 0: what was said is kept for ever
if HISTORY_DAYS > 36_500:
    raise ImproperlyConfigured("HISTORY_DAYS is at most 36500, a hundred years; 0 keeps what was said for ever.")
# Some dialects' originals refuse with 400 whatever the reason, and their clients look at nothing else.
TRUE_STATUS_CODES = flag("TRUE_STATUS_CODES", default=False)
HISTORY_MAX_CHARS = number("HISTORY_MAX_CHARS", default=64_000)
WEB_WORKERS = number("WEB_WORKERS", default=1)
SHUTDOWN_SECONDS = number("SHUTDOWN_SECONDS", default=30)
LEDGER_WAIT_SECONDS = number("LEDGER_WAIT_SECONDS", default=10)

# `manage.py up`
HOST = env.str("HOST", default="127.0.0.1")
PORT = number("PORT", default=8000)
HEALTH_CHECK_SECONDS = number("HEALTH_CHECK_SECONDS", default=60)
EMBEDDED_MODEL = flag("EMBEDDED_MODEL", default=True)

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Weighbridge",
    "DESCRIPTION": "A self-hosted LLM gateway: calls are admitted, routed, weighed and recorded in one place.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Folded up: all operations at once take the browser seconds to draw.
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "tryItOutEnabled": True, "docExpansion": "none"},
    "POSTPROCESSING_HOOKS": ["gateway.schema.add_traffic", "drf_spectacular.hooks.postprocess_schema_enums"],
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured(f"LOG_LEVEL is DEBUG, INFO, WARNING, ERROR or CRITICAL, not {LOG_LEVEL!r}.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        **{name: {"level": "WARNING"} for name in ("axes", "django_tasks", "django_tasks_db")},
        "django": {"handlers": [], "propagate": True},
    },
}

UNFOLD = {
    "SITE_TITLE": "Weighbridge",
    "SITE_HEADER": "Weighbridge",
    "SITE_SUBHEADER": "LLM gateway",
    "SITE_SYMBOL": "balance",
    "SITE_URL": "",  # the console is the site
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("weighbridge/icon.svg")}],
    "STYLES": [lambda request: static("weighbridge/console.css")],
    "SCRIPTS": [lambda request: static("weighbridge/console.js")],
    "SIDEBAR": {"show_search": True, "navigation": "gateway.console.navigation.items"},
    "DASHBOARD_CALLBACK": "gateway.console.dashboard.context",
    "COLORS": {  # the primary one: a teal that reads on light and on dark
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(60% .118 184.704)",
            "700": "oklch(51.1% .096 186.391)",
            "800": "oklch(43.7% .078 188.216)",
            "900": "oklch(38.6% .063 188.416)",
            "950": "oklch(27.7% .046 192.524)",
        }
    },
}
