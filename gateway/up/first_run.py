"""The first admin and the first key, and the file that remembers them for their owner."""

import json
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.models import ApiKey, Group, GroupGrant, Role, User
from accounts.services import keys
from gateway.secrets import write_private
from providers.models import AIModel

ADMIN = "admin"
GROUP = "everybody"
PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What the banner shows. None: nobody but its owner knows it any more, or there is none."""

    url: str
    admin_user: str | None = None
    admin_password: str | None = None
    api_key: str | None = None
    model: str | None = None
    embedding_model: str | None = None


def path() -> Path:
    return Path(settings.VAR_DIR) / "first-run.json"


def ensure(now: FirstRun) -> FirstRun:
    """Complete `now` with the admin and the key: made when there are none yet, else as remembered, if still good."""
    stored = _read()
    with transaction.atomic():
        _ensure_group()
        found = _with_key(_with_admin(now, stored), stored)
        if found != stored and (stored or found.admin_password or found.api_key):
            # Before the commit: a crash in between leaves a file that the next start makes anew, never a lost password.
            write_private(path(), json.dumps(asdict(found), indent=2) + "\n")
    return found


def _ensure_group() -> None:
    """A first group, with all models that are there: some programs expect one, and number 1 at that. Before the first
    key, so that who deletes the group does not get it back at the next start."""
    if not ApiKey.objects.exists() and not Group.objects.exists():
        group = Group.objects.create(name=GROUP)
        GroupGrant.objects.bulk_create(GroupGrant(group=group, model=model) for model in AIModel.objects.order_by("id"))


def _read() -> FirstRun | None:
    try:
        stored = json.loads(path().read_text())
        return FirstRun(**{field.name: stored.get(field.name) for field in fields(FirstRun)})
    except (FileNotFoundError, ValueError, AttributeError):
        return None


def _with_admin(now: FirstRun, stored: FirstRun | None) -> FirstRun:
    if not User.objects.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        User.objects.create_superuser(ADMIN, password=password)
        return replace(now, admin_user=ADMIN, admin_password=password)
    if stored and stored.admin_user and _logs_in(stored):
        return replace(now, admin_user=stored.admin_user, admin_password=stored.admin_password)
    return now


def _logs_in(stored: FirstRun) -> bool:
    user = User.objects.filter(username=stored.admin_user, is_active=True).first()
    return user is not None and user.check_password(stored.admin_password or "")


def _with_key(now: FirstRun, stored: FirstRun | None) -> FirstRun:
    if not ApiKey.objects.filter(is_internal=False).exists():
        issued = keys.issue(name="first key", role=Role.ADMIN, all_models=True, month_quota=None)
        return replace(now, api_key=issued.secret)
    if stored and stored.api_key and ApiKey.objects.usable().filter(digest=keys.digest(stored.api_key)).exists():
        return replace(now, api_key=stored.api_key)
    return now
