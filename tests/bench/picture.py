"""A picture of how figures grow with a size: log-log panels as SVG, the same bytes for the same figures.

Colours are middle tones without a background, so they can be read on white and on black.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GREY, COLOURS = "#7d8590", ("#e0701a", "#2f86d1")
LEFT, TOP, WIDTH, HEIGHT, STEP = 54, 50, 210, 230, 320
FOOT = 62
"""Pixels: from the left and the top of a panel to its axes, of the axes, from panel to panel, and below."""

Points = Mapping[int, float]
"""Values by size."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One or two lines by their label, in one unit. At the start of the lowest begins that of linear growth."""

    title: str
    lines: Mapping[str, Points]

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= len(COLOURS):
            raise ValueError(f"a panel holds one or two lines, and not {len(self.lines)}")

    @property
    def lowest(self) -> Points:
        """The line that starts lowest."""
        return min(self.lines.values(), key=lambda line: line[min(line)])

    @property
    def linear(self) -> Points:
        """What that line would be if it grew as the size does."""
        smallest = min(self.lowest)
        return {size: self.lowest[smallest] * size / smallest for size in self.lowest}

    @property
    def decades(self) -> range:
        """The powers of ten from below the lowest value to above the highest."""
        values = [value for line in (*self.lines.values(), self.linear) for value in line.values()]
        return range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)


def draw(title: str, across: str, panels: Sequence[Panel]) -> str:
    """An SVG of *panels* side by side; *across* says what a size counts."""
    width, height = STEP * len(panels), TOP + HEIGHT + FOOT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="12">\n<title>{title}</title>'
    )
    shifted = [
        f'<g transform="translate({number * STEP},0)">\n{_panel(panel, across)}\n</g>'
        for number, panel in enumerate(panels)
    ]
    return "\n".join([head, *shifted, "</svg>"]) + "\n"


def _panel(panel: Panel, across: str) -> str:
    parts = [_text(LEFT, 20, panel.title, GREY, weight="bold"), _legend(panel), *_axes(panel, across)]
    parts.append(_line(panel, panel.linear, GREY, dashed=True))
    for colour, line in zip(COLOURS, panel.lines.values(), strict=False):
        parts += [_line(panel, line, colour), *_values(panel, line, colour, below=line is panel.lowest)]
    return "\n".join(parts)


def _legend(panel: Panel) -> str:
    labels = [*zip(COLOURS, panel.lines, strict=False), (GREY, "linear (dashed)")]
    spans = "".join(
        f'<tspan fill="{colour}" dx="{14 * (number > 0)}">{label}</tspan>'
        for number, (colour, label) in enumerate(labels)
    )
    return f'<text x="{LEFT}" y="38">{spans}</text>'


def _axes(panel: Panel, across: str) -> list[str]:
    sizes, bottom = sorted(panel.linear), TOP + HEIGHT
    parts = [_text(LEFT + WIDTH / 2, bottom + 40, across, GREY, anchor="middle")]
    for size in sizes:
        parts.append(_text(_x(panel, size), bottom + 20, f"{size:,}", GREY, anchor="middle"))
    for power in panel.decades:
        y = _y(panel, 10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="{GREY}" stroke-opacity="0.35"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{10.0**power:,.{max(0, -power)}f}", GREY, anchor="end"))
    return parts


def _line(panel: Panel, points: Points, colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{_x(panel, size):.1f},{_y(panel, points[size]):.1f}" for size in sorted(points))
    dash = ' stroke-dasharray="5 4"' if dashed else ' stroke-width="2"'
    return f'<polyline points="{path}" fill="none" stroke="{colour}"{dash}/>'


def _values(panel: Panel, points: Points, colour: str, *, below: bool) -> list[str]:
    """Each point and its value. Lines rise: above a point there is room to its left, and below to its right."""
    parts = []
    for size in sorted(points):
        x, y, value = _x(panel, size), _y(panel, points[size]), points[size]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        label = f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
        anchor = "start" if below or size == min(points) else "end"
        parts.append(
            _text(x + (5 if anchor == "start" else -2), y + (17 if below else -8), label, colour, anchor=anchor)
        )
    return parts


def _x(panel: Panel, size: int) -> float:
    """The pixel of *size*, the smallest at the axis and the largest at the right."""
    smallest, largest = min(panel.linear), max(panel.linear)
    return LEFT + WIDTH * math.log(size / smallest) / math.log(largest / smallest)


def _y(panel: Panel, value: float) -> float:
    low, high = panel.decades[0], panel.decades[-1]
    return TOP + HEIGHT * (high - math.log10(value)) / (high - low)


def _text(x: float, y: float, text: str, colour: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>'
