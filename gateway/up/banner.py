"""What `up` says once everything runs."""

import json

from gateway.up.first_run import FirstRun, path

QUESTION = "Say hello in one short sentence."
NO_ADMIN = "shown once, at the first start, or changed since; `.venv/bin/python manage.py changepassword` sets one"
NO_KEY = (
    "shown once, at the first start, or revoked since; "
    "`.venv/bin/python manage.py create_key NAME --all-models` makes another"
)
NO_MODEL = "the embedded ones are off (EMBEDDED_MODEL); the console lists all others"


def banner(run: FirstRun) -> str:
    lines = ["", "Weighbridge is running. Ctrl-C stops it.", ""]
    lines += [f"  {label:<9} {value}" for label, value in _facts(run)]
    if run.api_key and run.model:
        lines += ["", "Try it in another terminal:", "", curl(run.url, run.api_key, run.model)]
    return "\n".join([*lines, ""])


def _facts(run: FirstRun) -> list[tuple[str, str]]:
    models = ", ".join(filter(None, (run.model, run.embedding_model)))
    facts = [("Console", f"{run.url}/admin/"), ("API", f"{run.url}/v1, described at {run.url}/api/docs/")]
    facts += [("User", run.admin_user)] if run.admin_user else []
    facts += [("Password", run.admin_password or NO_ADMIN), ("API key", run.api_key or NO_KEY)]
    facts += [("Models", f"{models} (embedded, free)" if models else NO_MODEL)]
    if run.admin_password or run.api_key:
        facts += [("Kept in", f"{path()}, readable by you alone")]
    return facts


def curl(url: str, api_key: str, model: str) -> str:
    """A call that works as it is when pasted into a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}]})
    return (
        f"curl -sS {url}/v1/chat/completions -H 'Authorization: Bearer {api_key}'"
        f" -H 'Content-Type: application/json' -d '{body}'"
    )
