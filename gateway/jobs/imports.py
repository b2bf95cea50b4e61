"""The scan of a provider and the import of its models, a batch at a time."""

import time
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F

from common.jobs import JobFailed, Running
from providers.models import AIModel, Provider
from providers.services import discovery
from providers.services.discovery import ScanFailed, Scanned

JSON = dict[str, Any]

AT_ONCE = 100  # models: one short transaction
PAUSE_SECONDS = 0.5  # each batch is a new version of the configuration, which every process reads before its next call
MOST_TOLD = 100
GONE = "The provider is not there any more."


def import_models(task: Running) -> JSON:
    """Take over what the upstream has, all of it or the `models` that are named; what is there already stays."""
    try:
        return _import_models(task, Provider.objects.get(pk=task.arguments["provider"]))
    except Provider.DoesNotExist as error:  # at the start, or at any batch
        raise JobFailed(GONE) from error


def _import_models(task: Running, provider: Provider) -> JSON:
    task.report(action=f"Asking {provider.name} which models it has")
    found = _scan(task, provider)
    chosen, missing = _chosen(found, task.arguments.get("models"))
    if missing and not chosen:
        raise JobFailed("The upstream has none of these models.")
    memory = {"added": 0, "unpriced": 0, **task.memory, "refused": []}  # those are tried again
    fresh = [each for each in chosen if not each.already_added]
    task.report(done=len(chosen) - len(fresh), total=len(chosen))
    for start in range(0, len(fresh), AT_ONCE):
        time.sleep(PAUSE_SECONDS if start else 0)
        task.go_on()
        batch = fresh[start : start + AT_ONCE]
        memory = _take(task, provider, batch, memory)
    there = len(chosen) - memory["added"] - len(memory["refused"])
    return {"provider": provider.name, "already_there": there, "missing": missing[:MOST_TOLD], **memory}


def _scan(task: Running, provider: Provider) -> list[Scanned]:
    try:
        return discovery.scan(provider=provider)
    except ScanFailed as error:
        if str(error) != error.reason:
            task.report(log=str(error))
        raise JobFailed(f"{error.reason.rstrip('.')}.") from error


def _chosen(found: list[Scanned], names: list[str] | None) -> tuple[list[Scanned], list[str]]:
    """And the names that the upstream does not have."""
    if names is None:
        return found, []
    return [each for each in found if each.id in names], sorted(set(names) - {each.id for each in found})


def _take(task: Running, provider: Provider, batch: list[Scanned], memory: JSON) -> JSON:
    """The batch or, where the database has one of it refused, each model by itself."""
    try:
        return _import(task, provider, batch, memory)
    except ValidationError as error:
        if len(batch) == 1:
            refused = [*memory["refused"], " ".join(error.messages)]
            task.report(done=F("done") + 1, log=refused[-1])
            return {**memory, "refused": refused[:MOST_TOLD]}
    for each in batch:
        memory = _take(task, provider, [each], memory)
    return memory


@transaction.atomic
def _import(task: Running, provider: Provider, batch: list[Scanned], memory: JSON) -> JSON:
    """The rows and the count of them are written together: an attempt that was cut off has counted what it added."""
    prefix = task.arguments.get("prefix", "")
    rows: list[AIModel] = discovery.import_models(provider=provider, chosen=batch, prefix=prefix)
    unpriced = sum(not row.is_priced for row in rows)
    memory = {**memory, "added": memory["added"] + len(rows), "unpriced": memory["unpriced"] + unpriced}
    action = f"Importing {batch[0].id} and others" if len(batch) > 1 else f"Importing {batch[0].id}"
    task.report(done=F("done") + len(batch), action=action, memory=memory)
    return memory
