from pathlib import Path

import pytest

from plumbline_local.errors import Missing
from plumbline_local.kafka.jars import find_java, find_maven


def fake_java(folder: Path, version: str) -> str:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="ascii")
    program.chmod(0o755)
    return str(folder)


def test_missing_java_is_said_with_the_line_that_installs_it() -> None:
    with pytest.raises(Missing, match=r"Java 17 or newer is missing .*: apt-get install default-jre-headless"):
        find_java(path="")


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2"])
def test_an_old_java_is_not_accepted(tmp_path: Path, version: str) -> None:
    with pytest.raises(Missing, match="is older"):
        find_java(path=fake_java(tmp_path, version))


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_newer_java_is_accepted(tmp_path: Path, version: str) -> None:
    assert find_java(path=fake_java(tmp_path, version)) == str(tmp_path / "java")


def test_missing_maven_is_said_with_the_line_that_installs_it() -> None:
    with pytest.raises(Missing, match="apt-get install maven"):
        find_maven(path="")
