"""What the environment may say."""

from pathlib import Path

import pytest

from plumbline_generation.domain.breaker import BreakerSettings
from plumbline_generation.domain.routing import Price
from plumbline_generation.settings import Settings
from plumbline_guards.findings import Kind
from plumbline_kit.settings import SettingsError


def test_every_default_works_on_the_local_platform() -> None:
    settings = Settings.from_env({})
    [leg] = settings.route.legs
    assert (leg.endpoint.base_url, leg.endpoint.concurrency) == ("http://127.0.0.1:7113/v1", 4)
    assert (settings.service.port, settings.record_seconds) == (7102, 2.0)


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"CONCURRENT_COMPLETIONS is '0'.*RECORD_SECONDS is 'soon'"):
        Settings.from_env({"CONCURRENT_COMPLETIONS": "0", "RECORD_SECONDS": "soon"})


def test_the_key_is_never_shown() -> None:
    assert "s3same" not in repr(Settings.from_env({"LLM_API_KEY": "s3same", "GUARD_CANARY": "s3same"}))


PAGE = Path(__file__).parents[1] / "README.md"
TOPICS, MODELS, BUDGETS = (part.split("```")[0] for part in PAGE.read_text(encoding="utf-8").split("```toml\n")[1:])


def read(tmp_path: Path, content: str, **values: str) -> Settings:
    """The settings with this models file."""
    path = tmp_path / "models.toml"
    path.write_text(content, encoding="utf-8")
    return Settings.from_env({"MODELS_FILE": str(path)} | values)


def test_a_models_file_names_endpoints_and_the_way_along_them(tmp_path: Path) -> None:
    route = read(tmp_path, MODELS, VENDOR_KEY="secret").route
    own, vendor = (leg.endpoint for leg in route.legs)
    assert [leg.weight for leg in route.legs] == [1, 0]
    assert (own.name, own.model, own.context_tokens, own.concurrency) == ("own", "qwen2.5-7b-instruct", 32768, 16)
    assert (own.max_output_tokens, own.first_token_seconds, own.total_seconds) == (256, 2.0, 15.0)
    assert (vendor.api_key, vendor.price) == ("secret", Price(0.15, 0.6, "EUR"))
    assert (route.hedge_seconds, route.breaker) == (1.5, BreakerSettings(failure_share=0.4))
    assert "secret" not in repr(route)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('model = "small-1"', "", "endpoints.vendor.model is missing, wanted is a text"),
        ("http://10.0.0.7:8000/v1", "10.0.0.7", "endpoints.own.base_url is '10.0.0.7', wanted is an address"),
        ("concurrency = 16", "concurrency = 0", "endpoints.own.concurrency is 0, wanted is a whole number"),
        ("context_tokens = 32768", "context_tokens = true", "endpoints.own.context_tokens is True, wanted is"),
        ("first_token_seconds = 2.0", "first_token_seconds = 0", "own.first_token_seconds is 0, wanted is a number"),
        ("total_seconds = 15.0", "total_seconds = nan", "endpoints.own.total_seconds is nan, wanted is a number"),
        ("input_price = 0.15", "input_price = -1", "endpoints.vendor.input_price is -1, wanted is a number of at"),
        ('currency = "EUR"', "", "endpoints.vendor.currency is missing"),
        ('currency = "EUR"', 'currency = "euro"', "endpoints.vendor.currency is 'euro', wanted are three capital"),
        ("VENDOR_KEY", "OTHER_KEY", "endpoints.vendor.api_key_env names OTHER_KEY, which is not set"),
        ("[route]", "[rout]", "route.order is missing, wanted is a list of at least one table"),
        ("[route]", "[rout]", "rout is not a setting"),
        (
            'endpoint = "vendor"',
            'endpoint = "seller"',
            r"order\[2\].endpoint is 'seller', which is none of own",
        ),
        ('endpoint = "vendor"', 'endpoint = "own"', r"route.order\[2\].endpoint is 'own', which the route has already"),
        ("weight = 1", "weigth = 1", r"route.order\[1\].weigth is not a setting"),
        ("failure_share = 0.4", "failure_share = 40", "breaker.failure_share is 40, wanted is at most 1"),
        ("hedge_seconds = 1.5", "hedge_seconds = 'soon'", "route.hedge_seconds is 'soon', wanted is a number above 0"),
        ("[endpoints.own]", "[endpoints.own", "models.toml: "),
    ],
)
def test_each_mistake_of_a_models_file_is_one_sentence_that_names_the_field(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read(tmp_path, MODELS.replace(old, new), VENDOR_KEY="secret")


def test_all_mistakes_of_a_models_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as told:
        read(tmp_path, MODELS.replace("concurrency = 16", "concurrency = 0").replace("small-1", ""))
    assert str(told.value).count("; ") == 2


def test_a_models_file_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match=r"MODELS_FILE nowhere\.toml"):
        Settings.from_env({"MODELS_FILE": "nowhere.toml"})


def test_a_topics_file_lists_what_is_not_talked_about(tmp_path: Path) -> None:
    path = tmp_path / "topics.toml"
    path.write_text(TOPICS, encoding="utf-8")
    guards = Settings.from_env({"GUARD_TOPICS_FILE": str(path)}).guards
    assert guards.topics.find("The Betting odds of a casino") == ["Betting odds", "casino"]
    assert (guards.examples[0], guards.minimum_similarity) == ("How much is the desk lamp?", 0.3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[deny]\ngambling = "casino"', "deny.gambling is 'casino', wanted is a list of texts"),
        ('[deny]\ngambling = ["!"]', "'!' has no word"),
        ("[allow]\nminimum_similarity = 0.3", "allow.examples is missing"),
        ('[denied]\ngambling = ["casino"]', "denied is not a setting"),
    ],
)
def test_each_mistake_of_a_topics_file_is_told(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "topics.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_env({"GUARD_TOPICS_FILE": str(path)})


def test_what_is_hidden_is_a_list_of_kinds_or_none() -> None:
    values = {"GUARD_HIDDEN_IN_QUESTIONS": "card, Email", "GUARD_HIDDEN_IN_PASSAGES": "none"}
    guards = Settings.from_env(values).guards
    assert guards.hidden_in_questions == {Kind.CARD, Kind.EMAIL}
    assert guards.hidden_in_passages == frozenset()
    with pytest.raises(SettingsError, match="GUARD_HIDDEN_IN_QUESTIONS is 'cards', wanted is none, or with commas"):
        Settings.from_env({"GUARD_HIDDEN_IN_QUESTIONS": "cards"})


def test_budgets_are_of_each_tenant_or_of_one(tmp_path: Path) -> None:
    settings = read(tmp_path, MODELS + BUDGETS, VENDOR_KEY="k", TOKENS_PER_DAY="7", POSTGRES_DSN="postgresql://x")
    given = settings.budget.budgets
    assert [given.of(tenant) for tenant in ("acme", "internal", "other")] == [10_000_000, None, 2_000_000]
    assert (settings.budget.postgres_dsn, settings.budget.fails_open) == ("postgresql://x", True)
    assert Settings.from_env({}).budget.budgets.of("acme") is None
    assert Settings.from_env({"TOKENS_PER_DAY": "7", "BUDGET_FAILURE": "closed"}).budget.budgets.of("acme") == 7


@pytest.mark.parametrize("wrong", ["tokens_per_day = -1", "tokens_per_day = 1.5", "[budgets.tenants]\nacme = true"])
def test_wrong_budgets_are_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsError, match="wanted is a whole number of at least 0, or inf"):
        read(tmp_path, f"{MODELS}[budgets]\n{wrong}\n", VENDOR_KEY="k")
