"""Turn the newest figures of every benchmark into docs/results.md."""

import json
from pathlib import Path
from typing import Any

from tests.bench.figures import NOT_RUN, OUT

RESULTS = Path("docs/results.md")
HEAD = """# Results

What was measured, how, when and against what. `make results` writes this page from the newest run of each
benchmark. Times are of a shared two-core machine: read the ratios to the baseline of the same run. Intervals are
of 95 %: Wilson for shares, BCa bootstrap for means. What could not be measured says "not run".
"""


def main() -> None:
    """Write the page."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(OUT.glob("*.json"))]
    RESULTS.write_text(HEAD + "".join(map(_section, documents)), encoding="utf-8")


def _section(document: dict[str, Any]) -> str:
    rows = "\n".join(_row(figure) for figure in document["figures"])
    measured = f"{document['date']}, commit {document['commit']}, {document['machine']}"
    return (
        f"\n## `make {document['target']}`\n\n{measured}\n\n"
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
