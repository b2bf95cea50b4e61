"""GET /health, for probes and load balancers."""

import time
from datetime import datetime

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings


def test_it_is_well(db: None, client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_it_names_the_time_and_the_process(db: None, client: Client) -> None:
    first, second = client.get("/health").json(), client.get("/health").json()
    assert set(first) == {"status", "timestamp", "sessionId"}
    assert first["sessionId"] == second["sessionId"]
    assert abs(datetime.fromisoformat(first["timestamp"]).timestamp() - time.time()) < 5


@override_settings(ALLOWED_HOSTS=["gateway.example.com"], SECURE_SSL_REDIRECT=True)
def test_a_probe_needs_neither_host_name_nor_tls(db: None) -> None:
    assert Client().get("/health", headers={"host": "10.0.0.7"}).status_code == 200


def test_without_a_database_it_says_so(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def cursor(*_: object) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", cursor)
        assert client.get("/health").status_code == 503
