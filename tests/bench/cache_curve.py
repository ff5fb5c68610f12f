"""A picture of what is served against how much of it is false, as SVG: the same bytes for the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.picture import COLOURS, GREY

LEFT, TOP, WIDTH, HEIGHT = 60, 40, 520, 300
MOST_SERVED, MOST_FALSE = 0.6, 0.3
"""What the axes end at."""


@dataclass(frozen=True, slots=True)
class Line:
    """Shares of duplicates served and of false hits, from the surest on."""

    label: str
    points: Sequence[tuple[float, float]]


def draw(lines: Sequence[Line]) -> str:
    """An SVG of at most two *lines*."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {TOP + HEIGHT + 50}" '
        f'width="{LEFT + WIDTH + 20}" height="{TOP + HEIGHT + 50}" role="img" font-family="sans-serif" font-size="12">',
        "<title>False hits by label against the share of true duplicates served</title>",
        _text(LEFT, 20, "false hits of served, by label", GREY),
        _text(LEFT + WIDTH / 2 - 90, TOP + HEIGHT + 40, "share of true duplicates served", GREY),
        f'<path d="M{LEFT},{TOP}V{TOP + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="{GREY}"/>',
    ]
    for tenth in range(4):
        parts.append(_text(LEFT - 38, _y(tenth / 10) + 4, f"{tenth / 10:.1f}", GREY))
    for tenth in range(7):
        parts.append(_text(_x(tenth / 10) - 8, TOP + HEIGHT + 18, f"{tenth / 10:.1f}", GREY))
    for number, (line, colour) in enumerate(zip(lines, COLOURS, strict=False)):
        shown = [(served, false) for served, false in line.points if served <= MOST_SERVED and false <= MOST_FALSE]
        path = " ".join(f"{_x(served):.1f},{_y(false):.1f}" for served, false in shown)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(LEFT + 20, TOP + 14 + 16 * number, line.label, colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(served: float) -> float:
    return LEFT + WIDTH * served / MOST_SERVED


def _y(false: float) -> float:
    return TOP + HEIGHT * (1 - false / MOST_FALSE)


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{text}</text>'
