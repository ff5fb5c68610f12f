"""What no linter holds: the promises that the repository makes about itself."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline_contracts import topics
from plumbline_contracts.topics import TOPICS, Topic

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if path.is_dir())
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("repo", "maven", "apache", "org"),
        ("maven", "org"),
        ("deb", "debian", "org"),
    )
]
READS_A_VARIABLE = re.compile(r'\benv\.(?:text|integer|number|flag|path)\(\s*"([A-Z][A-Z_]+)"')


def kept_files() -> list[Path]:
    """Every file that is, or would be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in (ROOT / name for name in listed) if path.is_file()]


def source_functions() -> Iterator[tuple[str, int]]:
    """Name and number of lines of every function of the product."""
    for path in [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]:
        if "_pb2" not in path.name:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_service_has_its_page(service: Path) -> None:
    assert (service / "README.md").is_file()


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_variable_that_a_service_reads_stands_on_its_page(service: Path) -> None:
    page = (service / "README.md").read_text(encoding="utf-8")
    settings = next(service.glob("src/*/settings.py")).read_text(encoding="utf-8")

    assert [name for name in READS_A_VARIABLE.findall(settings) if f"`{name}`" not in page] == []


def test_every_topic_is_in_the_table_once() -> None:
    declared = [value for value in vars(topics).values() if isinstance(value, Topic)]

    assert sorted(topic.name for topic in declared) == sorted(topic.name for topic in TOPICS)
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


def test_a_topic_of_every_event_is_named_after_its_area_and_message() -> None:
    for topic in TOPICS:
        prefix, area, fact, version = topic.name.split(".")
        message = "".join(word.capitalize() for word in fact.split("-"))

        assert topic.event_type == f"{prefix}.{area}.{version}.{message}"


def test_no_file_names_a_package_registry() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in kept_files()
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]

    assert named == []


def test_nine_functions_in_ten_are_under_thirty_lines() -> None:
    lengths = dict(source_functions())
    long = {name: lines for name, lines in lengths.items() if lines >= 30}

    assert len(long) <= len(lengths) / 10, long
    assert max(lengths.values()) < 60, long
