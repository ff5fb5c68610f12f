"""Pairs of questions that differ in who or what stands on which side, from templates of our own.

The first half of the relations was looked at when the checks were made, the second was not.
"""

import itertools
from collections.abc import Sequence

LOOKED_AT = 300
"""Pairs, and as many that nobody looked at."""

_PEOPLE = ("the buyer", "the seller", "the tenant", "the landlord", "the nurse", "the doctor")
_THINGS = ("the lamp", "the desk", "the oak shelf", "the glass table", "the old chair", "the red sofa")
_PLACES = ("Oslo", "Bergen", "Lisbon", "Turin", "Ghent", "Malmo")
_UNITS = ("litres", "gallons", "pounds", "grams", "euros", "yen")
_TEAMS = ("Ajax", "Porto", "Celtic", "Lyon", "Basel", "Genk")

_KNOWN = (
    ("Is {0} cheaper than {1}?", _THINGS),
    ("How do I convert {0} to {1}?", _UNITS),
    ("How long is the train from {0} to {1}?", _PLACES),
    ("Can {0} sue {1}?", _PEOPLE),
    ("Did {0} beat {1}?", _TEAMS),
    ("Does {0} weigh more than {1}?", _THINGS),
    ("Should {0} pay {1}?", _PEOPLE),
    ("Why did {0} lose against {1}?", _TEAMS),
    ("What does {0} think of {1}?", _PEOPLE),
    ("How many {0} are in {1}?", _UNITS),
)
_UNSEEN = (
    ("Do I put {0} on top of {1}?", _THINGS),
    ("When does {0} owe {1} a notice?", _PEOPLE),
    ("What does it cost to ship a parcel to {0} out of {1}?", _PLACES),
    ("Who lives longer in {0}, those born in {1} or others?", _PLACES),
    ("Is {0} further north than {1}?", _PLACES),
    ("Which player moved from {0} to {1} in summer?", _TEAMS),
    ("Must {0} inform {1} in writing?", _PEOPLE),
    ("Can I subtract {0} from {1}?", _UNITS),
    ("May {0} complain about {1}?", _PEOPLE),
    ("Does {0} stand left of {1}?", _THINGS),
)


def swapped(*, unseen: bool) -> Sequence[tuple[str, str]]:
    """300 pairs, thirty a relation: each has the same two things in it, the other way round."""
    pairs = []
    for template, things in _UNSEEN if unseen else _KNOWN:
        ordered = list(itertools.permutations(things, 2))
        pairs += [(template.format(one, other), template.format(other, one)) for one, other in ordered]
    return pairs
