"""Which words are forms of one word: "cities" and "city", "learned" and "learn"; not "integral" and "integrity"."""

from collections.abc import Iterator

VOWELS = frozenset("aeiou")


def plural_of(word: str) -> frozenset[str]:
    """*word* and what it may be the plural of."""
    return frozenset(_singular(word))


def inflections_of(word: str) -> frozenset[str]:
    """*word* and what it may be a plural, a past or a gerund of."""
    return frozenset(base for singular in _singular(word) for base in _infinitive(singular))


def _singular(word: str) -> Iterator[str]:
    yield word
    if word.endswith("ies"):
        yield f"{word[:-3]}y"
    elif word.endswith("es"):
        yield word[:-2]
    if word.endswith("s"):
        yield word[:-1]


def _infinitive(word: str) -> Iterator[str]:
    yield word
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word.removesuffix(ending)
            yield stem
            yield f"{stem}e"
            if stem[-1] == stem[-2] and stem[-1] not in VOWELS:
                yield stem[:-1]
            if stem.endswith("i"):
                yield f"{stem[:-1]}y"
