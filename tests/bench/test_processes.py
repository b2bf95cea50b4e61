"""Reading and ending processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import peer, postgres
from bench.postgres import PostgresMissing, PostgresServer, find_binaries
from bench.processes import BenchError, Server, cpu_seconds, memory_of, process_tree

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_the_cpu_of_a_child_counts_while_it_lives_and_after() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert cpu_seconds(os.getpid()) - before > 0.25


def test_a_server_is_in_the_tree_until_its_block_ends(tmp_path: Path) -> None:
    with Server([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log") as server:
        assert server.pid in process_tree(os.getpid())
        assert memory_of(server.pid).resident > 0
    assert server.pid not in process_tree(os.getpid())


def test_a_server_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match="no such luck"),
        Server([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log") as server,
    ):
        server.wait_until(lambda: False)


def test_a_missing_postgresql_is_one_sentence_on_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres, "DEBIAN_FOLDER", Path("/nowhere"))
    with pytest.raises(PostgresMissing, match="apt-get install postgresql"):
        find_binaries()


@pytest.mark.postgresql
def test_a_private_server_answers_and_leaves_nothing_behind() -> None:
    import psycopg

    with PostgresServer({"fsync": "off"}) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
        assert server.folder.exists()
    assert not server.folder.exists()
    assert server.process.poll() == 0


def test_a_compromised_peer_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib/python3.11/site-packages/litellm-1.107.0.dist-info").mkdir(parents=True)
    (tmp_path / "lib/python3.11/site-packages/litellm-enterprise-0.1.dist-info").mkdir()
    monkeypatch.setattr(peer, "VENV", tmp_path)
    with pytest.raises(BenchError, match=r"1\.107\.0, a compromised release"):
        peer.install()
