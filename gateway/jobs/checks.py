"""The check of all providers, a few at a time."""

from typing import Any

from django.db.models import Prefetch

from common.jobs import Running
from providers.models import Provider, ProviderKey
from providers.services import health
from providers.services.health import Checked

JSON = dict[str, Any]

AT_ONCE = 8  # providers
MOST_TOLD = 100


def check_providers(task: Running) -> JSON:
    """Check those that an earlier attempt has not. The result counts providers and keys, and names those that fail."""
    keys = Prefetch("keys", ProviderKey.objects.defer("secret"))
    enabled = Provider.objects.filter(is_enabled=True).order_by("pk").prefetch_related(keys)
    memory = {"after": 0, "providers": 0, "keys": 0, "well": 0, "failed": [], **task.memory}
    while chunk := list(enabled.filter(pk__gt=memory["after"])[:AT_ONCE]):
        task.go_on()
        task.report(total=enabled.count(), action=f"Checking {', '.join(provider.name for provider in chunk)}")
        memory = _counted(memory, chunk, health.check(chunk))
        task.report(done=memory["providers"], memory=memory)
    return {name: memory[name] for name in ("providers", "keys", "well", "failed")}


def _counted(memory: JSON, chunk: list[Provider], checked: list[Checked]) -> JSON:
    failed = [_told(each) for each in checked if not each.is_well]
    return {
        "after": chunk[-1].pk,
        "providers": memory["providers"] + len(chunk),
        "keys": memory["keys"] + len(checked),
        "well": memory["well"] + len(checked) - len(failed),
        "failed": [*memory["failed"], *failed][:MOST_TOLD],
    }


def _told(each: Checked) -> JSON:
    code = each.error.code if each.error else ""
    return {"provider": each.provider.name, "key": each.key_name, "code": code, "error": str(each.error)}
