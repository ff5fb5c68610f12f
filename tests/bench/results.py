"""Turn the newest figures of every benchmark into docs/results.md, and those of growth into docs/growth.svg."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.bench.figures import NOT_RUN, OUT
from tests.bench.picture import Panel, Points, draw

RESULTS = Path("docs/results.md")
GROWTH = Path("docs/growth.svg")
GROWTH_TITLE = "How the embedded index grows with its passages"
HEAD = """# Results

What was measured, how, when and against what. `make results` writes this page from the newest run of each
benchmark. Times are of a shared two-core machine: read the ratios to the baseline of the same run. Intervals are
of 95 %: Wilson for shares, BCa bootstrap for means. What could not be measured says "not run".
"""


def main() -> None:
    """Write the page. Of a benchmark that was not run here since, it keeps the section."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(OUT.glob("*.json"))]
    known = sections(RESULTS.read_text(encoding="utf-8"))
    newest = known | {document["target"]: _section(document) for document in documents}
    RESULTS.write_text(HEAD + "".join(newest[target] for target in sorted(newest)), encoding="utf-8")
    for document in documents:
        if document["target"] == "bench-growth":
            GROWTH.write_text(growth_picture(document["figures"]), encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """By target, what the page says of it."""
    return {text.split("`")[1].removeprefix("make "): text for text in re.split(r"(?=\n## )", page)[1:]}


def growth_picture(figures: list[dict[str, Any]]) -> str:
    """The figures of bench-growth, whose names are a size and what was measured, as SVG."""
    of: dict[str, dict[int, float]] = defaultdict(dict)
    for figure in figures:
        size, name = figure["name"].split(": ")
        of[name][int(size.replace(",", ""))] = figure["value"]
    return draw(GROWTH_TITLE, "passages", _growth_panels(of))


def _growth_panels(of: dict[str, dict[int, float]]) -> list[Panel]:
    filling: Points = {size: size * value / 1e6 for size, value in of["index_us_per_passage"].items()}
    return [
        Panel("Latency, p50, ms", {"search": of["search_p50_ms"], "engine alone": of["engine_p50_ms"]}),
        Panel("Space, MiB", {"memory": of["resident_mib"], "disk": of["disk_mib"]}),
        Panel("Time to index, s", {"all, 2,000 encoded": filling}),
    ]


def _section(document: dict[str, Any]) -> str:
    rows = "\n".join(_row(figure) for figure in document["figures"])
    measured = f"{document['date']}, commit {document['commit']}, {document['machine']}"
    picture = f"![{GROWTH_TITLE}]({GROWTH.name})\n\n" if document["target"] == "bench-growth" else ""
    return (
        f"\n## `make {document['target']}`\n\n{measured}\n\n{picture}"
        f"| figure | value | 95 % | ratio | baseline | goal | met |\n|---|---|---|---|---|---|---|\n{rows}\n"
    )


def _row(figure: dict[str, Any]) -> str:
    interval = f"{figure['low']:.3f} to {figure['high']:.3f}" if "low" in figure else ""
    ratio = f"{figure['ratio']:.2f}" if "ratio" in figure else ""
    met = {True: "yes", False: "**no**"}.get(figure.get("met"), "")  # type: ignore[arg-type]  # a missing key is ""
    cells = (
        figure["name"],
        f"{figure['value']:.3f}" if "value" in figure else NOT_RUN,
        interval,
        ratio,
        figure.get("baseline", ""),
        figure.get("goal", ""),
        met,
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
