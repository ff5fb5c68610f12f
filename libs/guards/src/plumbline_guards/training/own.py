"""Sentences of our own writing: attacks, and what is harmless with the same words."""

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Final

VARIANTS: Final = 8
"""Of a sentence with slots."""
LONG: Final = 300
"""Attacks that are composed of several sentences."""
OTHERS: Final = 0.3

_SLOT: Final = re.compile(r"{(\w+)}")


def own(name: str) -> dict[str, list[list[str]]]:
    """By group of `{name}.toml`, the texts that its sentences become: one list a sentence."""
    content = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    slots = content.pop("slots")
    return {group: [list(_variants(text, slots)) for text in table["texts"]] for group, table in content.items()}


def composed(groups: Mapping[str, Sequence[Sequence[str]]]) -> Iterator[str]:
    """Long attacks: three to nine sentences about a persona, with or without an override and a leak among them."""
    draw = random.Random(0)
    for _ in range(LONG):
        chosen = [draw.choice(groups["persona"]) for _ in range(draw.randint(3, 9))]
        chosen += [draw.choice(groups[group]) for group in ("override", "leak") if draw.random() < OTHERS]
        draw.shuffle(chosen)
        yield " ".join(draw.choice(variants) for variants in chosen)


def _variants(sentence: str, slots: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each once. A slot that stands twice is filled with the same."""
    draw = random.Random(sentence)
    names = sorted(set(_SLOT.findall(sentence)))
    drawn = ({name: draw.choice(slots[name]) for name in names} for _ in range(VARIANTS if names else 1))
    yield from dict.fromkeys(_capital(sentence.format_map(filling)) for filling in drawn)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
