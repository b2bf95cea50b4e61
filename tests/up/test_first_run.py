import json
from pathlib import Path
from typing import Any

import pytest

from accounts.models import ApiKey, User
from accounts.services import keys
from gateway.up import banner, embedded, first_run
from gateway.up.first_run import FirstRun
from providers.models import AIModel, Provider

pytestmark = pytest.mark.django_db

NOW = FirstRun("http://127.0.0.1:8000", model="a-model", embedding_model="another")


@pytest.fixture(autouse=True)
def var(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


def test_the_first_start_makes_an_admin_and_a_key_that_work() -> None:
    found = first_run.ensure(NOW)
    assert User.objects.get(is_superuser=True).check_password(found.admin_password or "")
    caller = keys.look_up(keys.digest(found.api_key or ""))
    assert (caller.role, caller.all_models) == ("admin", True)
    assert json.loads(first_run.path().read_text())["api_key"] == found.api_key


def test_the_next_start_shows_the_same() -> None:
    assert first_run.ensure(NOW) == first_run.ensure(NOW)
    assert (User.objects.count(), ApiKey.objects.count()) == (1, 1)


def test_a_new_port_is_written_to_the_file() -> None:
    first_run.ensure(NOW)
    first_run.ensure(FirstRun("http://127.0.0.1:8001"))
    assert json.loads(first_run.path().read_text())["url"] == "http://127.0.0.1:8001"


def test_a_changed_password_is_no_longer_shown() -> None:
    first_run.ensure(NOW)
    user = User.objects.get()
    user.set_password("something else")
    user.save()
    found = first_run.ensure(NOW)
    assert found.admin_password is None and found.api_key
    assert "changepassword" in banner.banner(found)


def test_a_revoked_key_is_no_longer_shown() -> None:
    first_run.ensure(NOW)
    keys.revoke(key=ApiKey.objects.get())
    found = first_run.ensure(NOW)
    assert found.api_key is None and found.admin_password
    assert "create_key" in banner.banner(found) and "curl" not in banner.banner(found)


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_without_the_file_the_secrets_are_not_made_up(content: str | None) -> None:
    first_run.ensure(NOW)
    first_run.path().unlink() if content is None else first_run.path().write_text(content)
    found = first_run.ensure(NOW)
    assert (found.admin_password, found.api_key) == (None, None)
    assert (User.objects.count(), ApiKey.objects.count()) == (1, 1)
    assert "changepassword" in banner.banner(found) and "create_key" in banner.banner(found)


def test_the_embedded_models_are_free_and_made_once() -> None:
    ports = embedded.install()
    assert embedded.install() == ports
    assert sorted(AIModel.objects.values_list("name", "kind", "price_in", "price_out", "max_output")) == [
        ("all-minilm-l6-v2", "embedding", 0, 0, None),
        ("smollm2-135m-instruct", "llm", 0, 0, 1024),
    ]
    assert {provider.base_url for provider in Provider.objects.all()} == {
        f"http://127.0.0.1:{port}/v1" for port in (ports.chat, ports.embedding)
    }


def test_a_taken_port_moves_the_provider(busy_port: int) -> None:
    embedded.install()
    Provider.objects.filter(name="Embedded model").update(base_url=f"http://127.0.0.1:{busy_port}/v1")
    ports = embedded.install()
    assert ports.chat != busy_port
    assert Provider.objects.get(name="Embedded model").base_url == f"http://127.0.0.1:{ports.chat}/v1"


def test_a_renamed_provider_does_not_come_twice() -> None:
    embedded.install()
    Provider.objects.filter(name="Embedded model").update(name="Small and free")
    embedded.install()
    assert Provider.objects.count() == 2


def test_switched_off_it_gets_no_calls_until_it_is_on_again() -> None:
    embedded.install()
    embedded.switch_off()
    assert not AIModel.objects.routable().exists()
    embedded.install()
    assert AIModel.objects.routable().count() == 2
