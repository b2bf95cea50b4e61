"""BRConnector's APIs as somebody with a key uses them."""

import json
import threading
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test import Client

from accounts.models import Role
from tests import factories


class Api:
    def __init__(self, secret: str) -> None:
        self.secret = secret

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        headers = {"Authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        client = Client(raise_request_exception=False)
        return client.generic(method, path, text, content_type="application/json", headers=headers, **more)

    def get(self, path: str, **query: Any) -> Any:
        """The data of a good answer."""
        return data_of(self.send("GET", path, query_params=query))

    def post(self, path: str, body: Any = None) -> Any:
        return data_of(self.send("POST", path, {} if body is None else body))

    def refusal(self, path: str, body: Any) -> str:
        """Why a POST is refused."""
        answer = self.send("POST", path, body)
        assert answer.status_code == 400, answer.content
        return str(answer.json()["data"])

    def upload(self, file: bytes | str, path: str = "/admin/api-key/import", **fields: Any) -> Any:
        start = "--b\r\nContent-Disposition: form-data; name="
        parts = [f'{start}"{name}"\r\n\r\n{value}' for name, value in fields.items()]
        head = f'{start}"file"; filename="keys.csv"\r\n\r\n'
        raw = file.encode() if isinstance(file, str) else file
        body = b"\r\n".join([*(part.encode() for part in parts), head.encode() + raw, b"--b--\r\n"])
        headers = {"Authorization": f"Bearer {self.secret}"}
        return Client().generic("POST", path, body, content_type="multipart/form-data; boundary=b", headers=headers)

    def chat(self, model: str = "echo", **fields: Any) -> Any:
        session = fields.pop("session", "")
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, **fields}
        return self.send("POST", "/v1/chat/completions", body, headers={"Session-Id": session} if session else {})


def data_of(answer: Any) -> Any:
    assert answer.status_code == 200, answer.content
    content = answer.json()
    assert content["success"] is True
    return content["data"]


def admin() -> Api:
    return Api(factories.key(name="root", role=Role.ADMIN, month_quota=None).secret)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What they came to, in their order."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        results[place] = call()
        connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
