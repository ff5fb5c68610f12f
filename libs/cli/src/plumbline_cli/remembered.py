"""What the cache tells of itself, as a person reads it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from plumbline.cache.v1 import cache_service_pb2 as pb

NOTHING: Final = "-"


def render_stats(stats: pb.GetStatsResponse) -> RenderableType:
    """The totals, then one row a scope."""
    totals = _totals(stats)
    return Group(totals, Text(), _scopes(stats)) if stats.scopes else totals


def render_top(listed: pb.ListTopEntriesResponse) -> RenderableType:
    """One row an entry."""
    if not (listed.entries or listed.hidden_count):
        return Text("the cache holds nothing of this tenant yet: an answer enters once its evaluation has passed")
    table = Table(*(Column(name, overflow="fold") for name in ("hits", "a hit saves", "question", "until")), box=None)
    table.add_column("entry", no_wrap=True)
    for entry in listed.entries:
        hits, saves = f"{entry.hit_count:,}", saved_words(entry.saving)
        table.add_row(hits, saves, Text(entry.question), _day(entry.expire_time), entry.entry_id)
    hidden = f"{_entries(listed.hidden_count)} of other groups or of conversations not shown"
    return Group(table, Text(hidden, style="dim")) if listed.hidden_count else table


def render_explanation(told: pb.ExplainLookupResponse) -> RenderableType:
    """What would come of the question, whose entries it can reach, and each check on those that are near."""
    return Group(_verdict(told), *_reach(told), *(part for entry in told.entries for part in _explained(entry)))


def render_warmed(warmed: pb.WarmEntriesResponse) -> RenderableType:
    """What became of the answers that were evaluated before."""
    counts = f"{warmed.admitted_count:,} taken in, {warmed.held_count:,} were there"
    line = Text(f"{warmed.read_count:,} answers looked at: {counts}; refused: {_reasons([warmed.refused_counts])}")
    more = Text("time ran out before all were looked at: run it again, what is in stays in", style="yellow")
    return line if warmed.whole else Group(line, more)


def saved_words(saving: pb.Saving) -> str:
    """A saving in a few words: "170 tokens, 1.5 s, 0.020000 EUR"."""
    tokens, seconds = saving.prompt_tokens + saving.completion_tokens, saving.time.ToMilliseconds() / 1000
    costs = [f"{cost.amount:.6f} {cost.currency_code}" for cost in saving.costs]
    return ", ".join([f"{tokens:,} tokens", f"{seconds:,.1f} s", *costs])


def _totals(stats: pb.GetStatsResponse) -> Table:
    hits = stats.exact_hit_count + stats.semantic_hit_count
    asked = hits + stats.miss_count
    share = f" ({hits / asked:.0%})" if asked else ""
    tiers = f"{stats.exact_hit_count:,} exact, {stats.semantic_hit_count:,} near"
    rows = {
        "held": _entries(stats.entry_count),
        "counted since": stats.since_time.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "answered from memory": f"{hits:,} of {asked:,}{share}: {tiers}",
        "saved": saved_words(stats.saved),
        "near hits found wrong": _quality(stats),
        "missed because": _reasons(scope.miss_counts for scope in stats.scopes),
        "taken in": f"{stats.admitted_count:,}",
        "refused because": _reasons(scope.refused_counts for scope in stats.scopes),
        "dropped because": _reasons(scope.invalidated_counts for scope in stats.scopes),
    }
    table = Table.grid(Column(style="dim"), Column(overflow="fold"), padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _quality(stats: pb.GetStatsResponse) -> str:
    rate = stats.false_hit_rate
    if not rate.audited_count:
        return "not known: none was audited yet"
    interval = f"{rate.low:.1%} to {rate.high:.1%}"
    off = sum(scope.switched_off for scope in stats.audited_scopes)
    switched = f"; the near tier is switched off in {off} scopes" if off else ""
    found = f"{rate.false_count} of {rate.audited_count} audited ({interval} with 95 %)"
    return f"{found}; {stats.target_false_hit_rate:.1%} are allowed{switched}"


def _scopes(stats: pb.GetStatsResponse) -> Table:
    names = ("application", "release", "groups", "language", "exact", "near", "missed", "saved", "wrong (95 %)")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    audited = {scope.scope_key: scope for scope in stats.audited_scopes}
    for scope in stats.scopes:
        table.add_row(*map(Text, _cells(scope, audited.get(scope.scope_key))))
    return table


def _cells(scope: pb.ScopeStats, audited: pb.AuditedScope | None) -> tuple[str, ...]:
    rate = audited.false_hit_rate if audited else pb.FalseHitRate()
    wrong = f"{rate.low:.1%} to {rate.high:.1%}" if rate.audited_count else NOTHING
    return (
        scope.release.application_id or "others",
        scope.release.release_id or NOTHING,
        ", ".join(scope.groups) or NOTHING,
        scope.language or NOTHING,
        f"{scope.exact_hit_count:,}",
        f"{scope.semantic_hit_count:,}",
        f"{sum(scope.miss_counts.values()):,}",
        saved_words(scope.saved),
        f"{wrong}, off" if audited and audited.switched_off else wrong,
    )


def _verdict(told: pb.ExplainLookupResponse) -> Text:
    if told.tier == pb.CACHE_TIER_EXACT:
        return Text("answered from memory: the same question", style="green")
    if told.tier == pb.CACHE_TIER_SEMANTIC:
        return Text("answered from memory: a question that means the same", style="green")
    reason = pb.MissReason.Name(told.miss_reason).removeprefix("MISS_REASON_").lower().replace("_", " ")
    kind = f" ({told.never_cached_class})" if told.never_cached_class else ""
    return Text(f"not answered from memory: {_WHY.get(told.miss_reason, reason)}{kind}", "yellow")


_WHY: Final = {
    pb.MISS_REASON_NOT_FOUND: "nobody in this scope asked it, or no answer to it was taken in",
    pb.MISS_REASON_STALE: "a source of the answer has changed",
    pb.MISS_REASON_CATCHING_UP: "the cache has started and has not heard of every change yet",
    pb.MISS_REASON_EXPIRED: "the answer's time to live is over",
    pb.MISS_REASON_REVALIDATING: "a passage has come that the answer might have been given",
    pb.MISS_REASON_NEVER_CACHED: "answers to questions like this change with time or person",
    pb.MISS_REASON_UNREACHABLE: "the engine or the encoder failed, or took too long",
    pb.MISS_REASON_SWITCHED_OFF: "too many near hits of this scope were found wrong, so that the near tier is off",
    pb.MISS_REASON_DIFFERENT: "near questions are kept, but none surely asks the same",
}


def _reach(told: pb.ExplainLookupResponse) -> Iterator[Text]:
    groups = ", ".join(told.groups) or "callers without groups"
    release = f"{told.release.application_id} {told.release.release_id}"
    yield Text(f"asked as   {told.normal_form}", style="dim")
    yield Text(f"reaches    entries of {groups}; release {release}; language {told.language or 'open'}", style="dim")
    if not told.entries:
        yield Text("there are no entries there")


def _explained(entry: pb.ExplainedEntry) -> Iterator[Text]:
    exact = entry.tier == pb.CACHE_TIER_EXACT
    yield Text(f"\n{'the same question' if exact else f'{entry.similarity:.3f}'}  {entry.question}", style="bold")
    yield Text(f"  entry {entry.entry_id}, answer {entry.answer_id}", style="dim")
    for check in entry.checks:
        sign, style = ("passed", "green") if check.passed else ("FAILED", "red")
        yield Text.assemble(f"  {check.name:<20} ", (sign, style), f"  {check.detail}")


def _reasons(counts: Iterable[Mapping[str, int]]) -> str:
    """How often each came, the commonest first."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in total.most_common()) or "none"


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _day(time: Timestamp) -> str:
    return time.ToDatetime(UTC).strftime("%Y-%m-%d")
