"""What generation can be told; the only reader of its environment and of the file that names its models."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from plumbline_generation.domain.breaker import BreakerSettings
from plumbline_generation.domain.budget import Budgets, BudgetSettings
from plumbline_generation.domain.guarding import GuardSettings
from plumbline_generation.domain.routing import EndpointSettings, Leg, Price, RouteSettings
from plumbline_generation.domain.screening import HIDEABLE
from plumbline_guards.findings import Kind
from plumbline_guards.topics import Topics
from plumbline_kit.addresses import address
from plumbline_kit.settings import Env, ServiceSettings, SettingsError

NEVER: Final = 10**9
"""So many calls are never made within a window."""
ONE_ENDPOINT: Final = "default"
"""Its name, where variables and no file say whom to ask."""


@dataclass(frozen=True)
class Settings:
    """Every default works on the local platform."""

    service: ServiceSettings
    encoder_dir: Path
    """Its tokenizer counts what fits into a prompt."""
    route: RouteSettings
    record_seconds: float
    """How long a finished answer waits to be recorded before it goes out as not recorded."""
    guards: GuardSettings
    margin_seconds: float
    """How much of the caller's time is kept from the model, to answer without it."""
    budget: BudgetSettings = field(default_factory=BudgetSettings)

    @classmethod
    def from_env(cls, values: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `SettingsError` that names every variable, or every field of the models file, that is wrong."""
        env = Env(values)
        models_file, topics_file = env.text("MODELS_FILE", ""), env.text("GUARD_TOPICS_FILE", "")
        settings = cls(
            service=ServiceSettings.from_env(env, "generation"),
            encoder_dir=env.path("ENCODER_DIR", Path(".plumbline/models/encoder")),
            route=_one_endpoint(env),
            record_seconds=env.number("RECORD_SECONDS", 2.0),
            guards=_guards(env),
            margin_seconds=env.number("MARGIN_SECONDS", 0.5),
            budget=_budget(env),
        )
        env.check()
        if topics_file:
            settings = replace(settings, guards=read_topics(Path(topics_file), settings.guards))
        return read_models(Path(models_file), values, settings) if models_file else settings


def read_models(path: Path, values: Mapping[str, str], settings: Settings) -> Settings:
    """*settings* with the route and the budgets of a file (TOML); keys come from *values*. Raises `SettingsError`."""
    content = _toml("MODELS_FILE", path)
    problems: list[str] = []
    top = Table(content, "", problems)
    endpoints = {name: _endpoint(name, table, values) for name, table in top.tables("endpoints")}
    route = top.table("route")
    asked = RouteSettings(
        legs=tuple(_legs(route, endpoints)),
        hedge_seconds=route.number("hedge_seconds", None, above=0),
        breaker=_breaker(top.table("breaker")),
    )
    route.end()
    budgets = _budgets(top.table("budgets"), settings.budget.budgets)
    top.end()
    if problems:
        raise SettingsError("; ".join(f"{path}: {problem}" for problem in problems))
    return replace(settings, route=asked, budget=replace(settings.budget, budgets=budgets))


def read_topics(path: Path, guards: GuardSettings) -> GuardSettings:
    """*guards* with the topics that a file (TOML) denies and allows. Raises `SettingsError`."""
    problems: list[str] = []
    top = Table(_toml("GUARD_TOPICS_FILE", path), "", problems)
    deny, allow = top.table("deny"), top.table("allow")
    topics = _topics([phrase for topic in deny.fields for phrase in deny.texts(topic)], problems)
    examples = tuple(allow.texts("examples")) if allow.fields else ()
    minimum = allow.number("minimum_similarity", guards.minimum_similarity)
    allow.end()
    top.end()
    if problems:
        raise SettingsError("; ".join(f"{path}: {problem}" for problem in problems))
    return replace(guards, topics=topics, examples=examples, minimum_similarity=minimum)


def _topics(phrases: list[str], problems: list[str]) -> Topics:
    try:
        return Topics(phrases)
    except ValueError as error:
        problems.append(str(error))
        return Topics()


def _toml(variable: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{variable} {path}: {error}") from error


class Table:
    """Typed reads of a TOML table. What is wrong goes to *problems*, one sentence each, and reads as its default."""

    def __init__(self, content: Mapping[str, Any], name: str, problems: list[str]) -> None:
        self._content = content
        self._prefix = f"{name}." if name else ""
        self._known: set[str] = set()
        self._problems = problems

    def text(self, field: str, default: str | None = None) -> str:
        """A text that is not empty; without a *default* it must be there."""
        value = self._read(field, default, lambda value: isinstance(value, str) and bool(value), "a text")
        return str(value or "")

    def number(self, field: str, default: float | None, *, least: float = 0, above: float | None = None) -> Any:
        """A finite number of at least *least*, or greater than *above*."""
        wanted = f"a number of at least {least:g}" if above is None else f"a number above {above:g}"

        def fits(value: Any) -> bool:
            return _is_finite(value) and bool(value >= least if above is None else value > above)

        return self._read(field, default, fits, wanted, needed=False)

    def whole(self, field: str, default: float) -> Any:
        """A whole number of at least 1."""
        return self._read(field, default, _counts, "a whole number of at least 1")

    def bound(self, field: str, default: float) -> float:
        """A whole number of at least 0, or `inf`, which bounds nothing."""
        return float(self._read(field, default, _is_bound, "a whole number of at least 0, or inf"))

    def flag(self, field: str) -> bool:
        """true or false, which it is where it is missing."""
        return bool(self._read(field, False, lambda value: isinstance(value, bool), "true or false"))

    def table(self, field: str) -> "Table":
        """A table, which may be missing."""
        value = self._read(field, {}, lambda value: isinstance(value, dict), "a table")
        return Table(value, self._prefix + field, self._problems)

    def tables(self, field: str) -> Iterator[tuple[str, "Table"]]:
        """The tables of a table, by name."""
        parent = self.table(field)
        return ((name, parent.table(name)) for name in parent._content)

    def rows(self, field: str) -> list["Table"]:
        """A list of tables, at least one."""
        rows = self._read(field, None, _is_rows, "a list of at least one table") or []
        names = (f"{self._prefix}{field}[{number}]" for number in range(1, len(rows) + 1))
        return [Table(row, name, self._problems) for row, name in zip(rows, names, strict=True)]

    def texts(self, field: str) -> list[str]:
        """A list of at least one text, none of them empty."""
        return self._read(field, None, _is_texts, "a list of texts") or []

    @property
    def fields(self) -> tuple[str, ...]:
        """What stands in it."""
        return tuple(self._content)

    def has(self, field: str) -> bool:
        """Whether it is there."""
        return field in self._content

    def problem(self, field: str, sentence: str) -> None:
        """Something is wrong with *field*."""
        self._problems.append(f"{self._prefix}{field} {sentence}")

    def end(self) -> None:
        """Everything that may be there has been read: the rest is a mistake."""
        for name in self._content.keys() - self._known:
            self.problem(name, "is not a setting")

    def _read(self, field: str, default: Any, fits: Callable[[Any], bool], wanted: str, needed: bool = True) -> Any:
        self._known.add(field)
        if field not in self._content:
            if needed and default is None:
                self.problem(field, f"is missing, wanted is {wanted}")
            return default
        value = self._content[field]
        if fits(value):
            return value
        self.problem(field, f"is {value!r}, wanted is {wanted}")
        return default


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_bound(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return whole or value == float("inf")


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) and text for text in value)


def _guards(env: Env) -> GuardSettings:
    usual = GuardSettings()
    return GuardSettings(
        output=env.choice("GUARD_OUTPUT", usual.output, ("redact", "mark", "block", "off")),
        links=env.choice("GUARD_LINKS", usual.links, ("redact", "off")),
        hidden_in_questions=_kinds(env, "GUARD_HIDDEN_IN_QUESTIONS", usual.hidden_in_questions),
        hidden_in_passages=_kinds(env, "GUARD_HIDDEN_IN_PASSAGES", usual.hidden_in_passages),
        injection=env.choice("GUARD_INJECTION", usual.injection, ("block", "mark", "off")),
        instructions=env.choice("GUARD_INSTRUCTIONS", usual.instructions, ("drop", "mark", "off")),
        stored=env.choice("GUARD_STORED", usual.stored, ("redact", "off")),
        failure=env.choice("GUARD_FAILURE", usual.failure, ("closed", "open")),
        seconds=env.number("GUARD_SECONDS", usual.seconds),
        canary=env.text("GUARD_CANARY", usual.canary),
    )


def _budget(env: Env) -> BudgetSettings:
    tokens = env.integer("TOKENS_PER_DAY", 0, least=0)
    return BudgetSettings(
        Budgets(tokens or float("inf")),
        env.text("POSTGRES_DSN", ""),
        env.choice("BUDGET_FAILURE", "open", ("open", "closed")) == "open",
    )


def _budgets(table: Table, usual: Budgets) -> Budgets:
    each = table.bound("tokens_per_day", usual.of_each)
    own = table.table("tenants")
    tenants = {name: own.bound(name, each) for name in own.fields}
    table.end()
    return Budgets(each, tenants)


def _kinds(env: Env, name: str, usual: frozenset[Kind]) -> frozenset[Kind]:
    known = {kind.name.lower(): kind for kind in HIDEABLE}
    return frozenset(known[word] for word in env.choices(name, [kind.name.lower() for kind in usual], tuple(known)))


def _one_endpoint(env: Env) -> RouteSettings:
    """As it was before there were routes: whatever fails, the next question is asked again."""
    endpoint = EndpointSettings(
        name=ONE_ENDPOINT,
        base_url=env.text("LLM_BASE_URL", f"http://{address('llm')}/v1"),
        api_key=env.text("LLM_API_KEY", ""),
        concurrency=env.integer("CONCURRENT_COMPLETIONS", 4, least=1),
        json_schema=env.choice("LLM_JSON_SCHEMA", "off", ("on", "off")) == "on",
    )
    return RouteSettings((Leg(endpoint),), BreakerSettings(minimum_calls=NEVER))


def _endpoint(name: str, table: Table, values: Mapping[str, str]) -> EndpointSettings:
    settings = EndpointSettings(
        name=name,
        base_url=_url(table),
        model=table.text("model"),
        api_key=_key(table, values),
        context_tokens=table.whole("context_tokens", float("inf")),
        max_output_tokens=table.whole("max_output_tokens", float("inf")),
        concurrency=table.whole("concurrency", 4),
        first_token_seconds=table.number("first_token_seconds", 5.0, above=0),
        total_seconds=table.number("total_seconds", 20.0, above=0),
        price=_price(table),
        json_schema=table.flag("json_schema"),
    )
    table.end()
    return settings


def _url(table: Table) -> str:
    url = table.text("base_url")
    if url and not url.startswith(("http://", "https://")):
        table.problem("base_url", f"is {url!r}, wanted is an address that begins with http:// or https://")
    return url


def _key(table: Table, values: Mapping[str, str]) -> str:
    if not table.has("api_key_env"):
        return ""
    variable = table.text("api_key_env")
    if variable and not values.get(variable):
        table.problem("api_key_env", f"names {variable}, which is not set")
    return values.get(variable, "")


def _price(table: Table) -> Price | None:
    given = [field for field in ("input_price", "output_price", "currency") if table.has(field)]
    if not given:
        return None
    price = Price(table.number("input_price", 0.0), table.number("output_price", 0.0), table.text("currency"))
    if price.currency and not (len(price.currency) == 3 and price.currency.isupper()):
        table.problem("currency", f"is {price.currency!r}, wanted are three capital letters such as EUR")
    return price


def _legs(route: Table, endpoints: Mapping[str, EndpointSettings]) -> Iterator[Leg]:
    taken: set[str] = set()
    for row in route.rows("order"):
        name, weight = row.text("endpoint"), row.number("weight", 0.0)
        row.end()
        if name in taken:
            row.problem("endpoint", f"is {name!r}, which the route has already")
        elif name and name not in endpoints:
            row.problem("endpoint", f"is {name!r}, which is none of {', '.join(endpoints) or 'the endpoints'}")
        elif name:
            yield Leg(endpoints[name], weight)
        taken.add(name)


def _breaker(table: Table) -> BreakerSettings:
    usual = BreakerSettings()
    settings = BreakerSettings(
        window_seconds=table.number("window_seconds", usual.window_seconds, above=0),
        minimum_calls=table.whole("minimum_calls", usual.minimum_calls),
        failure_share=table.number("failure_share", usual.failure_share, above=0),
        open_seconds=table.number("open_seconds", usual.open_seconds, above=0),
    )
    if settings.failure_share > 1:
        table.problem("failure_share", f"is {settings.failure_share!r}, wanted is at most 1")
    table.end()
    return settings
