"""The page of results keeps what was not measured again."""

from pathlib import Path

import pytest

from tests.bench import results

PAGE = "# Results\n\nHow.\n\n## `make bench-path`\n\nrows\n\n## `make eval-old`\n\nmore rows\n"


def test_a_page_falls_into_its_sections() -> None:
    assert results.sections(PAGE) == {
        "bench-path": "\n## `make bench-path`\n\nrows\n",
        "eval-old": "\n## `make eval-old`\n\nmore rows\n",
    }


def test_a_benchmark_that_was_not_run_keeps_its_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, out = tmp_path / "results.md", tmp_path / "out"
    page.write_text(PAGE, encoding="utf-8")
    out.mkdir()
    (out / "bench-path.json").write_text(
        '{"target": "bench-path", "commit": "c", "date": "d", "machine": "m", "figures": [{"name": "f", "value": 1}]}'
    )
    monkeypatch.setattr(results, "RESULTS", page)
    monkeypatch.setattr(results, "OUT", out)
    results.main()
    written = results.sections(page.read_text(encoding="utf-8"))
    assert "| f | 1.000 |" in written["bench-path"]
    assert written["eval-old"] == "\n## `make eval-old`\n\nmore rows\n"
