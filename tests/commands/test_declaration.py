"""A set-up as a file: exported, imported, changed, and wrong in many ways."""

import io
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import models

from accounts.models import Group, GroupGrant
from common.fields import EncryptedTextField
from common.models import ConfigVersion
from gateway.declaration import export
from gateway.declaration.fields import codec_of, fields_of
from providers.models import AIModel, Provider, ProviderKey
from tests import factories
from tests.commands.declaring import CANARY, SMALL, Run

pytestmark = pytest.mark.usefixtures("database", "acme_key")


def exported() -> Any:
    return yaml.safe_load(export.dump(export.export()))


def rich() -> None:
    """A set-up in which every field differs from its default."""
    first = factories.provider(
        name="First", requester="openai-chat-completions", secret=CANARY, base_url="https://first.example/v1"
    )
    for row in (first, first.keys.get()):
        fill(row)
    for number, kind in enumerate(("llm", "embedding")):
        fill(factories.model(first, f"m{number}", kind=kind))
    second = factories.provider(name="first!", secret=CANARY + "2")
    alone = factories.model(second, "m0")
    factories.group(alone, name="some of a name")
    factories.group(alone, AIModel.objects.get(provider=first, name="m0"), name="all of a name")
    factories.group(name="empty", price_ratio=Decimal("1.25"))


OTHER: dict[type[models.Field], Any] = {
    models.JSONField: {"list": ["x"], "dict": {"temperature": 0.5}},
    models.BooleanField: None,
    models.FloatField: 12.5,
    models.IntegerField: 3,
    models.CharField: "other",
    models.TextField: "Ünïcode: two\nlines",
}
NAMED = {
    "config": {"headers": {"X-Team": "a"}, "n": [1, None]},
    "is_enabled": False,
    "price_in": Decimal("0.0000000001"),
}


def fill(row: Any) -> None:
    for name, field in fields_of(type(row)).items():
        if name not in ("name", "kind", "requester", "base_url"):
            setattr(row, name, NAMED[name] if name in NAMED else _other(row, field))
    row.full_clean()
    row.save()


def _other(row: Any, field: models.Field) -> Any:
    """A value that is not the field's default."""
    default = field.get_default()
    if field.choices:
        return next(value for value, _ in field.flatchoices if value != default)
    if isinstance(field, models.BooleanField):
        return not default
    other = next(value for kind, value in OTHER.items() if isinstance(field, kind))
    return other[type(default).__name__] if isinstance(field, models.JSONField) else other


class TestRoundTrip:
    def test_an_empty_gateway_becomes_the_exported_one(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        rich()
        before = exported()
        for reference in ("WEIGHBRIDGE_FIRST_DEFAULT", "WEIGHBRIDGE_FIRST_DEFAULT_2"):
            monkeypatch.setenv(reference, f"secret of {reference}")
        Group.objects.all().delete()
        Provider.objects.all().delete()
        run(before)
        assert exported() == before
        assert {key.secret for key in ProviderKey.objects.all()} == {
            "secret of WEIGHBRIDGE_FIRST_DEFAULT",
            "secret of WEIGHBRIDGE_FIRST_DEFAULT_2",
        }
        assert run(before) == "No changes.\n"

    def test_an_export_imports_into_its_own_gateway_without_a_change(self, run: Run) -> None:
        rich()
        version = ConfigVersion.current()
        printed = run(exported())
        assert printed.splitlines()[-1] == "No changes."
        assert "keeps its stored secret" in printed
        assert ConfigVersion.current() == version

    def test_no_secret_is_exported(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rich()
        call_command("export_config")
        call_command("export_config", str(file))
        printed = capsys.readouterr().out
        assert CANARY not in printed + file.read_text()
        assert "secret: env:WEIGHBRIDGE_FIRST_DEFAULT\n" in printed
        assert "secret: env:WEIGHBRIDGE_FIRST_DEFAULT_2\n" in printed
        assert "limits     0\n" in printed  # of what was written, how much

    @pytest.mark.parametrize("row", [Provider, ProviderKey, AIModel, Group])
    def test_every_field_that_is_edited_can_be_written(self, row: type[models.Model]) -> None:
        """Fails for a new column that no declaration knows: it needs a codec, or a place in the document."""
        places = {"provider"} if row in (ProviderKey, AIModel) else set()
        edited = {field.name for field in row._meta.concrete_fields if field.editable and not field.primary_key}
        secrets = {field.name for field in row._meta.concrete_fields if isinstance(field, EncryptedTextField)}
        assert secrets == ({"secret"} if row is ProviderKey else set())
        assert set(fields_of(row)) == edited - places - secrets
        assert all(codec_of(field) for field in fields_of(row).values())
        relations = {"Group": {"granted_models"}}
        assert {field.name for field in row._meta.many_to_many} == relations.get(row.__name__, set())

    def test_prices_are_exact(self, run: Run) -> None:
        models = "[{name: m, price_in: '0.0000000001'}]"
        run(f"{{version: 1, providers: [{{name: p, base_url: http://127.0.0.1/v1, models: {models}}}]}}")
        assert AIModel.objects.get().price_in == Decimal("0.0000000001")
        assert exported()["providers"][0]["models"][0]["price_in"] == "0.0000000001"


class TestImport:
    def test_everything_is_made(self, run: Run) -> None:
        printed = run(SMALL)
        provider = Provider.objects.get()
        assert (provider.requester, provider.retries) == ("openai-chat-completions", 3)
        key = ProviderKey.objects.get()
        assert (key.secret, key.weight) == (CANARY, 2)
        model = AIModel.objects.get(name="seer")
        assert (model.upstream_name, model.price_in, model.strategy) == ("seer-2026", Decimal("2.5"), "sticky")
        assert AIModel.objects.get(name="plain").upstream_name == "plain"
        assert [grant.model for grant in GroupGrant.objects.all()] == [model]
        assert "+ provider acme" in printed
        assert "5 added, 1 changed, 0 removed." in printed

    def test_a_second_time_nothing_changes(self, run: Run) -> None:
        run(SMALL)
        version = ConfigVersion.current()
        assert run(SMALL) == "No changes.\n"
        assert ConfigVersion.current() == version

    def test_only_what_differs_is_saved(self, run: Run) -> None:
        run(SMALL)
        stamps = dict(AIModel.objects.values_list("name", "updated_at"))
        printed = run(SMALL.replace("'10'", "'12.5'"))
        assert '~ model seer (llm) of acme\n    price_out: "10.00" -> "12.50"\n0 added, 1 changed' in printed
        assert AIModel.objects.get(name="seer").price_out == Decimal("12.5")
        changed = [name for name, stamp in AIModel.objects.values_list("name", "updated_at") if stamp != stamps[name]]
        assert changed == ["seer"]

    def test_a_field_that_is_left_out_has_its_default(self, run: Run) -> None:
        run(SMALL)
        printed = run(SMALL.replace("  retries: 3\n", ""))
        assert "retries: 3 -> 2" in printed
        assert Provider.objects.get().retries == 2

    def test_a_header_s_value_is_not_shown(self, run: Run) -> None:
        run(SMALL)
        printed = run(SMALL.replace("weighbridge-team", "another-secret-team"))
        assert "config.headers: changed" in printed
        assert "another-secret-team" not in printed

    @pytest.mark.parametrize("option", ["--dry-run", "--check"])
    def test_a_dry_run_writes_nothing(self, run: Run, option: str) -> None:
        if option == "--check":
            with pytest.raises(SystemExit):
                run(SMALL, option)
        else:
            run(SMALL, option)
        assert run.printed.endswith("5 to add, 1 to change, 0 to remove. Nothing was written.\n")
        assert not Provider.objects.exists()
        run(SMALL)
        assert run(SMALL, option) == "No changes.\n"

    def test_as_json(self, run: Run) -> None:
        told = json.loads(run(SMALL, "--json"))
        assert (told["written"], told["changes"][0]["subject"]) == (True, "provider acme")

    def test_a_failure_midway_leaves_nothing(self, run: Run) -> None:
        assert "no such model" in run.problems(SMALL.replace("[seer]", "[seer, nobody]"))
        assert not Provider.objects.exists()

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:

        monkeypatch.setattr("sys.stdin", io.StringIO(SMALL))
        call_command("import_config", "-")
        assert Provider.objects.exists()

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(CommandError, match="can't be read"):
            call_command("import_config", "/nowhere/at-all.yaml")


class TestPruning:
    def test_what_is_not_named_stays(self, run: Run) -> None:
        factories.model(factories.provider(name="mine"))
        run(SMALL)
        run("{version: 1, providers: []}")
        assert set(Provider.objects.values_list("name", flat=True)) == {"mine", "acme"}

    def test_unless_pruned(self, run: Run) -> None:
        run(SMALL)
        factories.provider(name="mine")
        factories.group(name="old")
        acme = Provider.objects.get(name="acme")
        factories.model(acme, "extra")
        ProviderKey.objects.create(provider=acme, name="spare", secret="x")
        assert "4 to remove" in run(SMALL, "--prune", "--dry-run")
        printed = run(SMALL, "--prune")
        assert "- model extra (llm) of acme" in printed
        assert "- key spare of acme" in printed
        assert "- provider mine, with its keys and models" in printed
        assert run(SMALL, "--prune") == "No changes.\n"

    def test_a_list_that_is_left_out_is_nobody_s_business(self, run: Run) -> None:
        run(SMALL)
        run("{version: 1, providers: [{name: acme, requester: openai, base_url: https://acme.example/v1}]}", "--prune")
        assert AIModel.objects.count() == 2
        assert ProviderKey.objects.count() == 1
        assert Group.objects.count() == 1

    def test_a_pruned_model_takes_its_grant_along(self, run: Run) -> None:
        run(SMALL)
        extra = factories.model(Provider.objects.get(), "extra")
        GroupGrant.objects.create(group=Group.objects.get(), model=extra)
        assert "models:" not in run(SMALL, "--prune")
        assert GroupGrant.objects.count() == 1


class TestGroups:
    def test_a_name_stands_for_all_of_that_name(self, run: Run) -> None:
        one, two = (factories.model(factories.provider(name=name), "m") for name in ("one", "two"))
        run("{version: 1, groups: [{name: g, models: [m]}]}")
        assert set(Group.objects.get().granted_models.all()) == {one, two}
        narrowed = "{version: 1, groups: [{name: g, models: [{name: m, provider: two}]}]}"
        assert "models: - m (llm) of one" in run(narrowed)
        assert list(Group.objects.get().granted_models.all()) == [two]
        assert run(narrowed) == "No changes.\n"

    def test_without_models_its_grants_stay(self, run: Run) -> None:
        factories.group(factories.model(factories.provider()), name="g")
        assert run("{version: 1, groups: [{name: g}]}") == "No changes.\n"


class TestSecrets:
    def test_from_a_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(f"{CANARY}\n")
        run(SMALL.replace("env:ACME_KEY", f"file:{tmp_path}/secret"))
        assert ProviderKey.objects.get().secret == CANARY

    def test_a_new_one_replaces_the_old(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run(SMALL)
        monkeypatch.setenv("ACME_KEY", "sk-replaced")
        assert "~ key main of acme\n    secret: replaced\n" in run(SMALL)
        assert ProviderKey.objects.get().secret == "sk-replaced"

    def test_one_that_is_not_set_is_named(self, run: Run) -> None:
        del os.environ["ACME_KEY"]
        assert "providers[0].keys[0].secret: env:ACME_KEY is not set" in run.problems(SMALL)

    def test_one_that_is_not_set_keeps_the_stored_one(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run(SMALL)
        monkeypatch.delenv("ACME_KEY")
        printed = run(SMALL)
        assert "! env:ACME_KEY is not set: 'main' of acme keeps its stored secret." in printed
        assert ProviderKey.objects.get().secret == CANARY

    def test_a_stored_one_does_not_follow_to_another_address(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        run(SMALL)
        monkeypatch.delenv("ACME_KEY")
        assert "belongs to another address" in run.problems(SMALL.replace("acme.example", "evil.example"))
        assert Provider.objects.get().base_url == "https://acme.example/v1"

    def test_one_that_is_given_does(self, run: Run) -> None:
        run(SMALL)
        ProviderKey.objects.create(provider=Provider.objects.get(), name="spare", secret="sk-spare")
        printed = run(SMALL.replace("acme.example", "new.example"))
        assert "stored keys are switched off (spare)" in printed
        assert dict(ProviderKey.objects.values_list("name", "is_enabled")) == {"main": True, "spare": False}

    def test_a_secret_in_the_file_is_refused_and_not_repeated(self, run: Run) -> None:
        assert "never the secret itself" in run.problems(SMALL.replace("env:ACME_KEY", CANARY))
        run(SMALL)
        assert "never the secret itself" in run.problems(SMALL.replace("env:ACME_KEY", CANARY))
