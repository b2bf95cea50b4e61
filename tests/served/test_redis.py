"""Redis makes things shared, never right: a real redis-server is stopped, and calls go on."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis
import requests

from bench.processes import BenchError, free_port
from tests.fakes.openai import FakeOpenAI
from tests.served.gateway import ServedGateway


@pytest.fixture
def redis_server() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    program = shutil.which("redis-server")
    if program is None:
        raise BenchError("redis-server was not found: `apt-get install redis-server` brings it.")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    yield process, port
    process.kill()
    process.wait(10)


def test_calls_go_on_when_redis_stops(redis_server: tuple[subprocess.Popen[bytes], int], fake: FakeOpenAI) -> None:
    process, port = redis_server
    with ServedGateway(REDIS_URL=f"redis://127.0.0.1:{port}/0") as gateway:
        gateway.add_upstream(fake, "echo")
        secret = gateway.create_key()
        gateway.manage("createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com")
        gateway.manage("shell", "-v0", "-c", "u = User.objects.get(); u.set_password('a long password'); u.save()")
        log_in(gateway)
        assert redis.Redis(port=port).dbsize() > 0  # the console's session
        assert chat(gateway, secret) == 200
        process.kill()
        process.wait(10)
        assert chat(gateway, secret) == 200
        assert gateway.audit() == "The ledger is whole."


def log_in(gateway: ServedGateway) -> None:
    with requests.Session() as browser:
        browser.get(f"{gateway.url}/admin/login/", timeout=10)
        form = {
            "username": "root",
            "password": "a long password",
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            "next": "/health",
        }
        answer = browser.post(f"{gateway.url}/admin/login/", data=form, timeout=10)
        assert answer.url.endswith("/health"), answer.url


def chat(gateway: ServedGateway, secret: str) -> int:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {secret}"}
    return requests.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=10).status_code
