"""What can turn an answer round though two questions are near: each looked at by itself."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import Final

from plumbline_cache.domain.sameness import lexicon
from plumbline_cache.domain.sameness.endings import inflections_of, plural_of
from plumbline_cache.domain.sameness.reading import Reading

SHORT: Final = 2
"""Words of weight in a question for what something is, and little else."""


class Outcome(Enum):
    """What a check found."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """Neither question says anything of the kind."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check's outcome. *detail* says what differed, in words of the questions."""

    name: str
    outcome: Outcome
    detail: str = ""


def checks(a: Reading, b: Reading) -> Sequence[Check]:
    """All of them, in a fixed order. Two readings in either order give the same outcomes."""
    return [check(a, b) for check in _CHECKS]


def only(a: Sequence[str], b: Sequence[str]) -> Sequence[str]:
    """What *a* has more of than *b*."""
    return sorted((Counter(a) - Counter(b)).elements())


def _of_sets(name: str, a: Sequence[str], b: Sequence[str]) -> Check:
    if not a and not b:
        return Check(name, Outcome.UNKNOWN)
    left, right = only(a, b), only(b, a)
    if not left and not right:
        return Check(name, Outcome.AGREES)
    return Check(name, Outcome.DIFFERS, f"{' '.join(left) or '-'} / {' '.join(right) or '-'}")


def _numbers(a: Reading, b: Reading) -> Check:
    return _of_sets("numbers", a.numbers, b.numbers)


def _marks(a: Reading, b: Reading) -> Check:
    return _of_sets("signs", sorted(a.marks), sorted(b.marks))


def _negation(a: Reading, b: Reading) -> Check:
    return _of_sets("negation", ["not"] * a.negations, ["not"] * b.negations)


def _polarity(a: Reading, b: Reading) -> Check:
    words = _singular(a), _singular(b)
    for pair in lexicon.OPPOSITES:
        left, right = pair & words[0], pair & words[1]
        if left and right and left != right:
            return Check("polarity", Outcome.DIFFERS, " / ".join(sorted(pair)))
    return Check("polarity", Outcome.AGREES)


def _singular(reading: Reading) -> frozenset[str]:
    return reading.plain | {word.removesuffix("s") for word in reading.plain}


def _names(a: Reading, b: Reading) -> Check:
    left = sorted(name for name in a.names if name not in b.words)
    right = sorted(name for name in b.names if name not in a.words)
    if left or right:
        return Check("names", Outcome.DIFFERS, f"{' '.join(left) or '-'} / {' '.join(right) or '-'}")
    return Check("names", Outcome.AGREES if a.names or b.names else Outcome.UNKNOWN)


def _form(a: Reading, b: Reading) -> Check:
    if set(a.forms) == set(b.forms):
        return Check("form", Outcome.AGREES)
    return Check("form", Outcome.DIFFERS, f"{', '.join(a.forms) or '-'} / {', '.join(b.forms) or '-'}")


def _direction(a: Reading, b: Reading) -> Check:
    check = _of_sets("direction", a.turns, b.turns)
    ways = sorted(a.ways - b.ways), sorted(b.ways - a.ways)
    if all(ways) and check.outcome is not Outcome.DIFFERS:
        return Check("direction", Outcome.DIFFERS, f"{' '.join(ways[0])} / {' '.join(ways[1])}")
    return check


def _roles(a: Reading, b: Reading) -> Check:
    """Two things that stand on other sides of a third, as in "A to B" and "B to A"."""
    once = [word for word in a.words if a.sequence.count(word) == 1 == b.sequence.count(word)]
    for x, y in combinations(once, 2):
        if b.sequence.index(y) < b.sequence.index(x):
            shared = _between(a, x, y) & _between(b, y, x)
            if shared or (x in a.names and y in a.names and not _names_both(a, b)):
                middle = " ".join(sorted(shared))
                return Check("roles", Outcome.DIFFERS, f"{x} {middle} {y} / {y} {middle} {x}")
    return Check("roles", Outcome.AGREES)


def _names_both(a: Reading, b: Reading) -> bool:
    """Whether what is asked for lies between two things, whichever comes first."""
    return not lexicon.BETWEEN.isdisjoint(a.plain & b.plain)


def _between(reading: Reading, first: str, last: str) -> set[str]:
    return set(reading.sequence[reading.sequence.index(first) + 1 : reading.sequence.index(last)])


def _pointing(a: Reading, b: Reading) -> Check:
    """Two that say "this" may mean two things, whatever else they say."""
    if a.pointing or b.pointing:
        return Check("pointing", Outcome.DIFFERS, "speaks of something that is not in it")
    return Check("pointing", Outcome.UNKNOWN)


def _swap(a: Reading, b: Reading) -> Check:
    """Something else in the same place, or more than one word more, or one that narrows what is asked for."""
    left, right = only(a.words, b.words), only(b.words, a.words)
    more = [*left, *right]
    if (left and right) or len(more) > 1 or not lexicon.HARMLESS.issuperset(more):
        return Check("words", Outcome.DIFFERS, f"{' '.join(left) or '-'} / {' '.join(right) or '-'}")
    return Check("words", Outcome.AGREES)


def _endings(a: Reading, b: Reading) -> Check:
    """Words of one stem may be two things: an engineer and engineering, integral and integrity."""
    is_definition = a.forms == b.forms == ("what",) and len(a.words) <= SHORT
    bases = plural_of if is_definition else inflections_of
    for stem in sorted(a.spellings.keys() & b.spellings.keys() - {*a.numbers, *b.numbers}):
        one, other = a.spellings[stem], b.spellings[stem]
        if one != other and bases(one).isdisjoint(bases(other)):
            return Check("endings", Outcome.DIFFERS, f"{one} / {other}")
    return Check("endings", Outcome.AGREES)


def _whose(a: Reading, b: Reading) -> Check:
    """How to fold my shirt is how to fold yours; where my shirt is, is not."""
    if a.forms == b.forms == ("how",) or not (a.whose and b.whose) or a.whose == b.whose:
        return Check("whose", Outcome.UNKNOWN)
    return Check("whose", Outcome.DIFFERS, f"{' '.join(sorted(a.whose))} / {' '.join(sorted(b.whose))}")


def _modal(a: Reading, b: Reading) -> Check:
    if a.forms == b.forms == ("whether",) and (a.modal == "should") != (b.modal == "should"):
        return Check("modal", Outcome.DIFFERS, f"{a.modal or '-'} / {b.modal or '-'}")
    if a.modal and b.modal and a.modal != b.modal:
        return Check("modal", Outcome.DIFFERS, f"{a.modal} / {b.modal}")
    return Check("modal", Outcome.AGREES if a.modal and b.modal else Outcome.UNKNOWN)


def _time(a: Reading, b: Reading) -> Check:
    if a.time == b.time:
        return Check("time", Outcome.AGREES if a.time else Outcome.UNKNOWN)
    return Check("time", Outcome.DIFFERS, f"{a.time or 'now'} / {b.time or 'now'}")


_CHECKS: Final[Sequence[Callable[[Reading, Reading], Check]]] = (
    _numbers,
    _marks,
    _negation,
    _polarity,
    _names,
    _form,
    _direction,
    _roles,
    _pointing,
    _time,
    _modal,
    _whose,
    _endings,
    _swap,
)
