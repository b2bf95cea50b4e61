"""LiteLLM's proxy on the same machine, the same upstream and in the same session.

One worker with a master key (it does not start without) and no database: it keeps no budgets and no records.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.processes import ROOT, BenchError, Server, answers_ok, free_port
from bench.runs import Subject

PEERS = ("litellm",)
VENV = ROOT / ".venv-litellm"
PINNED = "1.106.2"
# 1.82.7 and 1.82.8 carried malware (OSV MAL-2026-2144); 1.107.0 is reported to.
COMPROMISED = ("1.82.7", "1.82.8", "1.107.0")


def installed_version() -> str:
    """Read from the folder's name: nothing of the package runs to answer this."""
    found = next(VENV.glob("lib/python3*/site-packages/litellm-[0-9]*.dist-info"), None)
    return found.name.removeprefix("litellm-").removesuffix(".dist-info") if found else ""


def install() -> str:
    """Into a virtual environment of its own: its dependencies are not the gateway's. Answers the version."""
    if not installed_version():
        print(f"Installing litellm[proxy] into {VENV.name}, once; this takes a minute or some.", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        newest = "litellm[proxy]" + ",".join(f"!={version}" for version in COMPROMISED)
        if not any(pip_install(wanted) for wanted in (f"litellm[proxy]=={PINNED}", newest)):
            raise BenchError("pip could not install litellm[proxy]; its messages are above.")
    version = installed_version()
    if version in COMPROMISED:
        raise BenchError(f"{VENV} holds LiteLLM {version}, a compromised release: delete the folder, do not run it.")
    return version


def pip_install(requirement: str) -> bool:
    command = [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", requirement]
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def configuration(upstream_url: str) -> str:
    """YAML, which JSON is a part of."""
    endpoint = {"api_base": upstream_url, "api_key": "sk-bench"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", **endpoint}}
        for name in ("stub", "stub-slow")
    ]
    return json.dumps({"model_list": models, "litellm_settings": {"telemetry": False}})


def environment(master_key: str) -> dict[str, str]:
    """No network: the price list comes from the package, and nothing calls home."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}",
        "LITELLM_MASTER_KEY": master_key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
        "DISABLE_ADMIN_UI": "True",
        "NO_PROXY": "127.0.0.1",
    }


@contextmanager
def serving(upstream_url: str) -> Iterator[Subject]:
    version = install()
    master_key = f"sk-{secrets.token_hex(32)}"
    with TemporaryDirectory(prefix="wb-peer-") as name:
        config = Path(name) / "config.yaml"
        config.write_text(configuration(upstream_url))
        port = free_port()
        command = [str(VENV / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--num_workers", "1", "--telemetry", "False"]
        with Server(command, Path(name) / "log", environment(master_key)) as server:
            server.wait_until(lambda: answers_ok(port, "/health/liveliness"))
            yield Subject(f"LiteLLM {version}", f"http://127.0.0.1:{port}/v1", master_key, server)
