"""The catalog has what its users know, under their names."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from common.models import ConfigVersion
from gateway import checks
from gateway.management.commands import catalog_docs
from providers import catalog
from providers.catalog import ConfigField, Vendor
from providers.catalog.icons import icon, initials
from providers.models import Kind, Provider
from providers.requesters.base import Requester
from providers.services import providers
from tests.providers.contract import FIELDS, OTHER_NAMES, ROWS, TYPES


@pytest.mark.parametrize(("name", "base_url", "types", "protocol", "category", "fields"), ROWS)
def test_each_requester_of_the_contract_has_its_row(
    name: str, base_url: str, types: str, protocol: str, category: str, fields: str
) -> None:
    vendor = catalog.VENDORS[name]
    assert (vendor.base_url, vendor.protocol, vendor.category) == (base_url, protocol, category)
    assert vendor.kinds & set(TYPES.values()) == {TYPES[letter] for letter in types}
    assert [field.name for field in vendor.all_fields] == FIELDS[fields]
    assert vendor.label and vendor.label_zh


@pytest.mark.parametrize("name", sorted(OTHER_NAMES))
def test_each_provider_id_that_is_a_model_s_endpoint_is_found(name: str) -> None:
    assert catalog.find(name) is not None


@pytest.mark.parametrize(
    "name", ["bedrock-agent", "painter", "nova-canvas", "web-miner", "urls-reader", "aws-executor"]
)
@pytest.mark.django_db
def test_one_that_is_none_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        providers.add(name="p", requester=name, base_url="https://x.example")
    assert refused.value.message_dict == {"requester": [catalog.REFUSED[name]]}
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("openai", "openai-chat-completions"),
        ("openai-embeddings", "openai-chat-completions"),
        ("anthropic", "anthropic-messages"),
        ("deepseek", "deepseek-chat-completions"),
    ],
)
@pytest.mark.django_db
def test_an_alias_is_stored_as_the_name(alias: str, name: str) -> None:
    provider = providers.add(name="p", requester=alias, secrets=["sk-1"])
    assert (provider.requester, provider.base_url) == (name, "")
    assert provider.address == catalog.VENDORS[name].base_url
    assert alias not in {value for _, group in catalog.choices() for value, _ in group}


def test_every_vendor_is_a_choice_once() -> None:
    shown = [value for _, group in catalog.choices() for value, _ in group]
    assert sorted(shown) == sorted(catalog.VENDORS)


@pytest.mark.django_db
class TestProviders:
    def check(self, **fields: Any) -> dict[str, list[str]]:
        try:
            Provider(**{"name": "p", **fields}).full_clean()
        except ValidationError as error:
            return error.message_dict
        return {}

    def test_an_address_is_needed_where_the_vendor_has_none(self) -> None:
        assert set(self.check(requester="openai-compatible")) == {"base_url"}
        assert set(self.check(requester="litellm-chat")) == {"base_url"}
        assert self.check(requester="openai-chat-completions") == {}
        assert self.check(requester="chroma-embedding") == {}

    def test_a_setting_that_is_missing_or_wrong_is_named(self) -> None:
        found = self.check(requester="smart-router", config={"rules": "all"})
        assert found == {
            "config": ["Rules (rules) must be a JSON list.", "Choosing model (localLlmModel) is required."]
        }
        assert self.check(requester="smart-router", config={"rules": [{"name": "m"}], "localLlmModel": "m"}) == {}

    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("drop_params", "yes", "true or false"),
            ("num_retries", "3", "a whole number"),
            ("num_retries", True, "a whole number"),
            ("api_version", 2024, "a text"),
        ],
    )
    def test_each_type_is_checked(self, name: str, value: Any, wanted: str) -> None:
        found = self.check(requester="litellm-chat", base_url="https://l.example", config={name: value})
        assert wanted in found["config"][0] and f"({name})" in found["config"][0]

    def test_arguments_may_not_change_what_a_call_is_weighed_by(self) -> None:
        found = self.check(requester="ppio-chat-completions", config={"args": {"n": 9, "max_tokens": 9, "top_k": 1}})
        assert "may not hold max_tokens, n" in found["config"][0]
        assert self.check(requester="ppio-chat-completions", config={"args": {"top_k": 1}}) == {}

    def test_what_no_field_names_is_kept(self) -> None:
        assert self.check(requester="openai-chat-completions", config={"anything": [1], "headers": {"X-A": "b"}}) == {}

    def test_one_that_can_not_be_set_up_says_why(self) -> None:
        assert "log-in" in self.check(requester="openai-codex")["requester"][0]

    def test_keys_stay_behind_when_another_kind_moves_the_address(self) -> None:
        provider = providers.add(name="p", requester="openai", secrets=["sk-1"])
        provider.requester = "anthropic-messages"
        assert providers.change(provider=provider)
        assert not provider.keys.get().is_enabled


def row(**fields: Any) -> Vendor:
    return Vendor(**{"name": "v", "label": "V", "base_url": "https://v.example", "label_zh": "V", **fields})


class TestChecks:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"label_zh": ""}, "lacks its name or a label"),
            ({"category": "odd"}, "unknown category"),
            ({"kinds": frozenset({"odd"})}, "unknown one"),
            ({"kinds": frozenset()}, "serves no kind"),
            ({"fields": (ConfigField("f", "F", "F", "odd"),)}, "of unknown type"),
            ({"fields": (ConfigField("f", "F", "F", "integer", default="1"),)}, "default is not of its type"),
            ({"base_url": "http://v.example"}, "without TLS"),
        ],
    )
    def test_a_row_that_can_not_work_is_an_error(self, fields: dict[str, Any], message: str) -> None:
        assert [message in error.msg for error in checks.row_errors([row(**fields)])] == [True]

    @pytest.mark.parametrize("url", ["https://v.example", "http://127.0.0.1:1234/v1", "http://localhost:3000", ""])
    def test_tls_and_this_machine_are_fine(self, url: str) -> None:
        assert not list(checks.row_errors([row(base_url=url)]))

    def test_a_name_that_means_two_rows_is_an_error(self) -> None:
        assert len(list(checks.name_errors([row(), row(name="w", aliases=("v",))]))) == 1
        assert len(list(checks.name_errors([row(aliases=("painter",))]))) == 1
        assert not list(checks.name_errors([row(), row(name="w")]))

    def test_our_kinds_are_the_models_kinds(self) -> None:
        assert {kind for vendor in catalog.VENDORS.values() for kind in vendor.kinds} <= set(Kind.values)


class TestIcons:
    @pytest.mark.parametrize(
        ("label", "letters"),
        [("OpenAI", "OA"), ("DeepSeek", "DS"), ("Mistral AI", "MA"), ("ppio", "P"), ("01.AI Yi", "0Y"), ("…", "?")],
    )
    def test_it_shows_initials(self, label: str, letters: str) -> None:
        assert initials(label) == letters

    def test_the_same_name_has_the_same_icon(self) -> None:
        assert icon("Groq") == icon("Groq") != icon("Jina")

    def test_nothing_of_a_label_gets_out_of_it(self) -> None:
        assert "<script" not in icon('<script> "&')


def test_every_requester_class_knows_its_base() -> None:
    assert all(issubclass(vendor.requester, Requester) for vendor in catalog.VENDORS.values())


class TestDocs:
    def test_the_document_is_what_the_rows_say(self) -> None:
        stale = "docs/providers.md is stale: run `manage.py catalog_docs --write`"
        assert catalog_docs.FILE.read_text() == catalog_docs.document(), stale

    def test_it_names_everything(self) -> None:
        text = catalog_docs.document()
        names = [*catalog.VENDORS, *(alias for vendor in catalog.VENDORS.values() for alias in vendor.aliases)]
        assert not [name for name in (*names, *catalog.REFUSED) if f"`{name}`" not in text]

    def test_the_command_writes_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalog_docs, "FILE", tmp_path / "providers.md")
        call_command("catalog_docs", "--write")
        assert (tmp_path / "providers.md").read_text() == catalog_docs.document()


@pytest.mark.usefixtures("database")
class TestMigration:
    """Stored requesters get the new names, and the former ones on the way back."""

    BEFORE, AFTER = ("providers", "0004_rests_and_loads"), ("providers", "0005_requester_names")
    NAMES = import_module("providers.migrations.0005_requester_names").NEW_NAMES

    def migrate(self, target: tuple[str, str]) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([target])
        return executor.loader.project_state([target]).apps.get_model("providers", "Provider")

    def stored(self) -> dict[str, str]:
        return dict(Provider.objects.values_list("name", "requester"))

    def test_forwards_and_backwards(self) -> None:
        try:
            row = self.migrate(self.BEFORE)
            for name in (*self.NAMES, "local"):
                row.objects.create(name=name, requester=name)
            version = ConfigVersion.current()
            self.migrate(self.AFTER)
            assert self.stored() == {**self.NAMES, "local": "local"}
            assert ConfigVersion.current() > version
            self.migrate(self.BEFORE)
            assert self.stored() == {name: name for name in (*self.NAMES, "local")}
        finally:
            call_command("migrate", verbosity=0)  # the other apps', too, as theirs went with it
