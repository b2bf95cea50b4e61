"""What is wrong with a declaration is said with its place, all at once, and nothing is written."""

import pytest

from providers.models import AIModel
from tests.commands.declaring import SMALL, Run

pytestmark = pytest.mark.usefixtures("database", "acme_key")

WRONG = [
    ("[]", "the document: must be an object"),
    ("{}", "version: must be 1"),
    ("{version: 2}", "version: must be 1"),
    ("{version: 1, provider: []}", "provider: is no field here; there are groups, limits, providers, version"),
    ("{version: 1, providers: {}}", "providers: must be a list"),
    ("{version: 1, providers: [x]}", "providers[0]: must be an object"),
    (
        "{version: 1, providers: [{name: p, base_url: http://127.0.0.1, colour: red}]}",
        "providers[0].colour: is no field",
    ),
    ("{version: 1, providers: [{base_url: http://127.0.0.1}]}", "providers[0].name: This field cannot be blank."),
    (
        "{version: 1, providers: [{name: 5, base_url: http://127.0.0.1}]}",
        "providers[0].name: must be a text, not a whole",
    ),
    ("{version: 1, providers: [{name: p}]}", "providers[0].base_url: Give its address"),
    ("{version: 1, providers: [{name: p, base_url: ftp://x}]}", "providers[0].base_url: "),
    (
        "{version: 1, providers: [{name: p, requester: telepathy}]}",
        "providers[0].requester: no requester is called 'telepathy'",
    ),
    ("{version: 1, providers: [{name: p, requester: aws-executor}]}", "providers[0].requester: It runs shell"),
    ("{version: 1, providers: [{name: p, base_url: http://127.0.0.1, retries: 9}]}", "providers[0].retries: "),
    (
        "{version: 1, providers: [{name: p, base_url: http://127.0.0.1, retries: true}]}",
        "must be a whole number, not true",
    ),
    ("{version: 1, providers: [{name: p, base_url: http://127.0.0.1, retries: null}]}", "retries: must not be empty"),
    ("{version: 1, providers: [{name: p, base_url: http://127.0.0.1, is_enabled: 'yes'}]}", "must be true or false"),
    ("{version: 1, providers: [{name: p, base_url: http://127.0.0.1, idle_timeout: .inf}]}", "must be a number"),
    (
        "{version: 1, providers: [{name: p, base_url: http://127.0.0.1, config: []}]}",
        "config: must be an object, not a list",
    ),
    (
        "{version: 1, providers: [{name: p, base_url: http://127.0.0.1}, {name: p, base_url: http://127.0.0.2}]}",
        "providers[1].name: p is the name of providers[0] already",
    ),
    ("{version: 1, groups: [{name: g}, {name: g}]}", "groups[1].name: g is the name of groups[0] already"),
    ("{version: 1, groups: [{name: g, models: [5]}]}", "groups[0].models[0]: must be an object"),
    ("{version: 1, groups: [{name: g, models: [{kind: llm}]}]}", "groups[0].models[0]: must be a model's name"),
    ("{version: 1, groups: [{name: g, models: [{name: m, kind: x}]}]}", "groups[0].models[0].kind: must be one of"),
    ("{version: 1, groups: [{name: g, models: [m]}]}", "groups[0].models[0]: there is no such model as m"),
    ("{version: 1, version: 1}", "line 1, column 14: 'version' stands twice"),
    ("a: [", "line 1"),
    ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
]
WRONG_MODELS = [
    ("{name: m, price_in: 2.5}", "price_in: must be an amount as text, such as '2.50', not a number"),
    ("{name: m, price_in: '-1'}", "price_in: "),
    ("{name: m, price_in: cheap}", "price_in: 'cheap' is not an amount in USD"),
    ("{name: m, kind: poem}", "kind: Value 'poem' is not a valid choice."),
    ("{name: m, fallbacks: m2}", "fallbacks: must be a list, not a text"),
    ("{name: m, fallbacks: [1]}", "fallbacks: Give a JSON list of model names"),
    ("{name: m, extra_args: {n: 2}}", "extra_args: These are the caller's"),
    ("{name: m, max_rpm: 0}", "max_rpm: "),
    ("{name: m}, {name: m}", "m (llm) is the name of providers[0].models[0] already"),
]


@pytest.mark.parametrize(("document", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(run: Run, document: str, message: str) -> None:
    problems = run.problems(document)
    assert message in problems
    assert problems.endswith("Nothing was written.")


@pytest.mark.parametrize(("model", "message"), WRONG_MODELS)
def test_what_is_wrong_with_a_model(run: Run, model: str, message: str) -> None:
    place = f"providers[0].models[{1 if '}, {' in model else 0}]"
    problems = run.problems(f"{{version: 1, providers: [{{name: p, base_url: http://127.0.0.1, models: [{model}]}}]}}")
    assert place in problems
    assert message in problems


def test_all_that_is_wrong_is_said_at_once(run: Run) -> None:
    problems = run.problems(SMALL.replace("'10'", "ten").replace("retries: 3", "retries: many"))
    assert "providers[0].retries: " in problems
    assert "providers[0].models[0].price_out: " in problems


def test_the_same_name_may_be_a_model_of_each_kind(run: Run) -> None:
    run(
        "{version: 1, providers: [{name: p, base_url: http://127.0.0.1, models: [{name: m}, {name: m, kind: rerank}]}]}"
    )
    assert AIModel.objects.count() == 2
