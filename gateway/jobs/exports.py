"""Files for whoever asks for them: the set-up as YAML, charges as CSV."""

from typing import Any

from django.utils.dateparse import parse_datetime

from accounts.services import charge_export
from accounts.services.reports import Bounds
from common.jobs import Running
from gateway.declaration import export
from providers import sensitive

JSON = dict[str, Any]


def export_config(task: Running) -> JSON:
    """One piece. Keys in it are references, and what else is secret is masked: the file is for more people than those
    who set the gateway up, as the command on the server is."""
    task.go_on()
    document = _masked(export.export())
    if not task.memory:
        task.add_part(0, export.dump(document), done=1, total=1, memory={"parts": 1})
    return export.sizes(document)


def _masked(document: JSON) -> JSON:
    for provider in document["providers"]:
        for row, name in ((provider, "config"), *((model, "extra_args") for model in provider["models"])):
            if name in row:
                row[name] = sensitive.masked(row[name])
    return document


def export_charges(task: Running) -> JSON:
    """A piece for each page of charges; an attempt goes on after the last piece that is there."""
    if not task.memory:
        last = charge_export.last_id()
        total = charge_export.count(_bounds(task), last=last)
        task.report(total=total, memory={"last": last, "after": 0, "parts": 0, "charges": 0})
    while task.memory["after"] is not None:
        task.go_on()
        _add_page(task)
    return {"charges": task.memory["charges"]}


def _add_page(task: Running) -> None:
    memory = task.memory
    page = charge_export.page(_bounds(task), after=memory["after"], last=memory["last"])
    written = memory["charges"] + page.count
    known = {"after": page.after, "parts": memory["parts"] + 1, "charges": written}
    task.add_part(memory["parts"], page.text, done=written, action="Writing charges", memory=known)


def _bounds(task: Running) -> Bounds:
    since, until = (task.arguments.get(name) for name in ("since", "until"))
    return Bounds(since=parse_datetime(since) if since else None, until=parse_datetime(until) if until else None)
