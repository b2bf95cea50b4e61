"""The promise of `make run`: one command, everything runs, and the banner's line answers."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openai import OpenAI

from bench.postgres import PostgresServer
from bench.processes import free_port
from tests.up.running import ROOT, Up, are_gone, environment, refused

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("var"), free_port()) as up:
        yield up.wait_until_pasteable()
        up.stop()


@pytest.fixture(scope="module")
def client(running: Up) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{running.secrets['url']}/v1", api_key=running.secrets["api_key"], max_retries=0) as client:
        yield client


def test_the_banner_shows_what_one_needs(running: Up) -> None:
    for value in running.secrets.values():
        assert value and value in running.output


def test_the_secrets_are_for_their_owner_alone(running: Up) -> None:
    for name in ("first-run.json", "secrets.env"):
        assert stat.S_IMODE((running.var / name).stat().st_mode) == 0o600


def test_the_pasted_line_answers(running: Up) -> None:
    done = subprocess.run(running.curl, shell=True, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"].strip(), done


def test_an_answer_streams(client: OpenAI, running: Up) -> None:
    question = [{"role": "user", "content": "Count to five."}]
    chunks = list(
        client.chat.completions.create(
            model=running.secrets["model"],
            messages=question,
            stream=True,
            max_tokens=12,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage and 0 < chunks[-1].usage.completion_tokens <= 12


def test_embeddings_are_384_numbers(client: OpenAI, running: Up) -> None:
    answer = client.embeddings.create(model=running.secrets["embedding_model"], input=["one text", "another"])
    assert [len(each.embedding) for each in answer.data] == [384, 384]
    assert answer.usage.prompt_tokens == 7  # [CLS] one text [SEP] [CLS] another [SEP]


def test_the_embedded_models_are_listed(client: OpenAI, running: Up) -> None:
    assert {model.id for model in client.models.list()} == {"smollm2-135m-instruct", "all-minilm-l6-v2"}


def test_the_console_is_there(running: Up) -> None:
    page = subprocess.run(["curl", "-sSL", running.secrets["url"]], capture_output=True, text=True, timeout=30)
    assert "csrfmiddlewaretoken" in page.stdout, page


def test_a_second_up_in_the_same_folder_refuses(running: Up) -> None:
    assert f"already running in {running.var} (process {running.process.pid})" in refused(running.var, free_port())


def test_a_busy_port_is_told_in_one_sentence(running: Up, tmp_path: Path) -> None:
    said = refused(tmp_path, running.port)
    assert said == (
        f"Port {running.port} is in use by another program: choose another, as in `PORT={running.port + 1} make run`.\n"
    )
    assert not (tmp_path / "weighbridge.sqlite3").exists()


def test_an_ended_model_is_started_again(tmp_path: Path) -> None:
    with Up(tmp_path, free_port()) as up:
        up.wait_until_pasteable()
        os.kill(model_of(up), signal.SIGKILL)
        up.wait_for("The embedded model ended (code 137)")
        retries = "--retry 20 --retry-delay 1 --retry-all-errors --fail"
        line = up.curl.strip().replace("curl -sS", f"curl -s {retries}")
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
        assert "choices" in done.stdout, done
        assert up.stop() == 0


def model_of(up: Up) -> int:
    return next(pid for pid in up.children() if b"providers.local.server" in Path(f"/proc/{pid}/cmdline").read_bytes())


def worker_of(up: Up) -> int:
    return next(pid for pid in up.children() if b"\0work\0" in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_background_task_is_done_and_an_ended_worker_started_again(tmp_path: Path) -> None:
    with Up(tmp_path, free_port(), EMBEDDED_MODEL="false") as up:
        up.wait_until_ready()
        assert done_by(up)["result"] == {"providers": 0, "keys": 0, "well": 0, "failed": []}
        os.kill(worker_of(up), signal.SIGKILL)
        up.wait_for("The worker for background tasks ended (code 137) and is started again.")
        assert done_by(up)["status"] == "succeeded"
        children = up.children()
        assert up.stop() == 0
        assert are_gone(children)


def done_by(up: Up) -> dict[str, Any]:
    """A check of all providers, from its start to its end."""
    api, headers = f"{up.secrets['url']}/api/v1", {"X-API-Key": up.secrets["api_key"]}
    id = requests.post(f"{api}/provider/check", headers=headers, timeout=10).json()["data"]["task_id"]
    deadline = time.monotonic() + 30
    while (task := ask(f"{api}/system/tasks/{id}", headers))["status"] == "running":
        assert time.monotonic() < deadline, up.output
        time.sleep(0.1)
    return task


def ask(url: str, headers: dict[str, str]) -> dict[str, Any]:
    return dict(requests.get(url, headers=headers, timeout=10).json()["data"])


def test_stopped_and_started_again_it_is_the_same_gateway(tmp_path: Path) -> None:
    with Up(tmp_path, free_port()) as up:
        processes = up.wait_until_pasteable().children()
        secrets, rows = up.secrets, up.rows()
        assert len(processes) >= 3  # gunicorn, its worker, the model
        assert up.stop(signal.SIGINT) == 0
        assert are_gone(processes, seconds=0)
    with Up(tmp_path, free_port()) as again:
        processes = again.wait_until_pasteable().children()
        assert again.secrets == {**secrets, "url": f"http://127.0.0.1:{again.port}"}
        assert again.rows() == rows
        again.process.kill()
        assert are_gone(processes), "kill -9 of `up` left orphans"


@pytest.mark.postgresql
def test_it_runs_on_postgresql_and_without_the_embedded_model(tmp_path: Path) -> None:
    with (
        PostgresServer() as server,
        Up(tmp_path, free_port(), DATABASE_URL=server.url, EMBEDDED_MODEL="false") as up,
    ):
        up.wait_until_ready()
        assert "embedded ones are off" in up.output and up.secrets["model"] is None
        assert not (tmp_path / "weighbridge.sqlite3").exists()
        assert up.stop(signal.SIGTERM) == 0


def test_a_database_that_does_not_answer_is_told_plainly(tmp_path: Path) -> None:
    with Up(tmp_path, free_port(), DATABASE_URL="postgres://nobody:none@127.0.0.1:1/none") as up:
        assert up.process.wait(60) == 1
    assert "The database can't be used: " in up.output and "Traceback" not in up.output


def test_a_dead_upstream_is_noticed_before_any_call(tmp_path: Path) -> None:
    more = {"EMBEDDED_MODEL": "false", "HEALTH_CHECK_SECONDS": "1"}
    with Up(tmp_path, free_port(), **more) as up:
        up.wait_until_ready()
        dead = f"http://127.0.0.1:{free_port()}/v1"
        for arguments in (["add_provider", "dead", "--base-url", dead], ["add_model", "m", "--provider", "dead"]):
            command = [sys.executable, "manage.py", *arguments]
            subprocess.run(command, cwd=ROOT, env=environment(up.var, up.port, **more), check=True, timeout=60)
        up.wait_for("dead: upstream_unavailable")
        deadline = time.monotonic() + 20  # the first check may have come before the model
        while up.count("providers_rest") == 0:
            assert time.monotonic() < deadline, up.output
            time.sleep(0.1)
        children = up.children()
        up.stop()
        assert are_gone(children)
