"""The picture of growth: what it says, and that it says it with the same bytes."""

import re
from xml.etree import ElementTree

import pytest

from tests.bench.picture import Panel, draw
from tests.bench.results import growth_picture

NAMES = ("index_us_per_passage", "engine_p50_ms", "search_p50_ms", "resident_mib", "disk_mib")
FIGURES = [
    {"name": f"{size:,}: {name}", "value": value * size**0.5}
    for size in (2_000, 20_000, 200_000)
    for value, name in enumerate(NAMES, 1)
]
DOUBLING = Panel("Latency, ms", {"engine": {10: 1.0, 100: 10.0, 1_000: 100.0}})


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]
        for points in re.findall(r'points="([^"]+)"', svg)
    ]


def test_the_same_figures_give_the_same_bytes_in_whatever_order_they_come() -> None:
    assert growth_picture(FIGURES) == growth_picture(FIGURES[::-1])


def test_every_panel_says_its_unit_and_every_size_stands_below_it() -> None:
    texts = [element.text for element in ElementTree.fromstring(growth_picture(FIGURES)).iter() if element.text]
    assert [text for text in texts if text.endswith((" ms", " MiB", " s"))] == [
        "Latency, p50, ms",
        "Space, MiB",
        "Time to index, s",
    ]
    assert [texts.count(size) for size in ("2,000", "20,000", "200,000")] == [3, 3, 3]


def test_the_time_to_index_is_that_of_all_passages() -> None:
    figures = [figure | {"value": 1_000.0} for figure in FIGURES]
    assert ">200.0<" not in growth_picture(figures)  # three digits stand without a fraction
    assert ">200<" in growth_picture(figures)


def test_what_grows_as_its_size_lies_on_the_line_of_linear_growth() -> None:
    linear, engine = polylines(draw("growth", "passages", [DOUBLING]))
    assert engine == linear


def test_both_axes_are_logarithmic() -> None:
    _, engine = polylines(draw("growth", "passages", [DOUBLING]))
    (first, second), (third, fourth) = (engine[0], engine[1]), (engine[1], engine[2])
    assert second[0] - first[0] == pytest.approx(fourth[0] - third[0], abs=0.1)
    assert second[1] - first[1] == pytest.approx(fourth[1] - third[1], abs=0.1)


def test_no_background_is_painted() -> None:
    svg = growth_picture(FIGURES)
    assert "<rect" not in svg
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == {"#7d8590", "#e0701a", "#2f86d1"}


def test_a_panel_has_a_colour_for_each_line() -> None:
    with pytest.raises(ValueError, match="not 3"):
        Panel("Latency, ms", {name: {1: 1.0} for name in "abc"})
