"""Which numbers two texts measure in different units: "49 dollars" is not what "49 euros" says.

Only units of one dimension exclude one another, and only where they stand beside the number. A number to which one of
the texts gives no unit, or one of another dimension, proves nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from plumbline_models.text import content_words

DIMENSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "money": {
        "euro": "\u20ac EUR euro euros",
        "dollar": "$ USD dollar dollars d\u00f3lar d\u00f3lares",
        "pound sterling": "\u00a3 GBP",
        "yen": "\u00a5 JPY yen",
        "franc": "CHF franc francs franken",
    },
    "time": {
        "second": "sec second seconds sekunde sekunden segundo segundos",
        "minute": "min minute minutes minuten minuto minutos",
        "hour": "h hr hrs hour hours stunde stunden hora horas",
        "day": "day days tag tage tagen d\u00eda d\u00edas",
        "week": "week weeks woche wochen semana semanas",
        "month": "month months monat monate monaten mes meses",
        "year": "year years jahr jahre jahren a\u00f1o a\u00f1os",
    },
    "mass": {
        "gram": "g gram grams gramm gramo gramos",
        "kilogram": "kg kilo kilos kilogram kilograms kilogramm kilogramo kilogramos",
        "milligram": "mg milligram milligrams milligramm",
        "microgram": "mcg \u00b5g \u03bcg microgram micrograms",
        "tonne": "ton tons tonne tonnes tonnen tonelada toneladas",
    },
    "length": {
        "metre": "m meter meters metre metres metro metros",
        "kilometre": "km kilometer kilometers kilometre kilometres kil\u00f3metro kil\u00f3metros",
        "centimetre": "cm centimeter centimeters centimetre centimetres zentimeter cent\u00edmetro cent\u00edmetros",
        "millimetre": "mm millimeter millimeters millimetre millimetres mil\u00edmetro mil\u00edmetros",
        "inch": "inch inches zoll pulgada pulgadas",
        "foot": "ft foot feet",
        "mile": "mile miles meile meilen milla millas",
    },
    "volume": {
        "litre": "l liter liters litre litres litro litros",
        "millilitre": "ml milliliter milliliters millilitre millilitres mililitro mililitros",
    },
    "data": {"kilobyte": "kB KB", "megabyte": "MB", "gigabyte": "GB", "terabyte": "TB"},
    "power": {"watt": "W watt watts", "kilowatt": "kW kilowatt kilowatts", "megawatt": "MW megawatt megawatts"},
    "temperature": {"Celsius": "\u00b0C Celsius", "Fahrenheit": "\u00b0F Fahrenheit"},
}
"""Every unit with the ways in which it is written. "pounds" are money or mass, so they are neither."""

_UNITS: Final = {
    written: (dimension, unit)
    for dimension, units in DIMENSIONS.items()
    for unit, ways in units.items()
    for written in ways.split()
}
_FOLDED: Final = {written.casefold(): of for written, of in _UNITS.items() if len(written) > 2}  # "MB" is not "mb"
_NUMBER: Final = r"\d{1,15}(?:[.,]\d{1,6}){0,4}"
_SCALE: Final = r"(?:(?:thousand|million|billion|bn|tausend|millionen|milliarden|mil|millones)\s)?"
_MEASURED: Final = re.compile(
    rf"(?P<before>[$\u20ac\u00a3\u00a5])\s?(?P<priced>{_NUMBER})"
    rf"|(?P<number>{_NUMBER})[\s-]?{_SCALE}(?:degrees\s)?(?P<after>[$\u20ac\u00a3\u00a5]|[^\W\d_]+(?!\w)|\u00b0[CF]\b)",
    re.IGNORECASE,
)


def measured_otherwise(claim: str, source: str) -> tuple[str, ...]:
    """The numbers of *claim* in units in which *source* does not measure them, while it does in others of the kind."""
    return tuple(
        number
        for (number, dimension), units in _measured(claim).items()
        if (others := _kept(source).get((number, dimension))) and not units <= others
    )


def _measured(text: str) -> dict[tuple[str, str], set[str]]:
    """The units of each number, by dimension."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for number, dimension, unit in _each(text):
        found[number, dimension].add(unit)
    return dict(found)


@lru_cache(maxsize=1024)
def _kept(source: str) -> Mapping[tuple[str, str], set[str]]:
    return _measured(source)


def _each(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _MEASURED.finditer(text):
        written = match["before"] or match["after"]
        of = _UNITS.get(written) or _FOLDED.get(written.casefold())
        if of and (words := content_words(match["priced"] or match["number"])):
            yield words[0], *of
