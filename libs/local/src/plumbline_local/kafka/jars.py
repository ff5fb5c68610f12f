"""The broker's jars, resolved once by Maven into a folder that all runs share."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from plumbline_local.errors import LocalError, Missing
from plumbline_local.locks import locked
from plumbline_local.parts import Say

POM: Final = Path(__file__).with_name("pom.xml")
OLDEST_JAVA: Final = 17
JAVA_INSTALL: Final = "apt-get install default-jre-headless"
MAVEN_INSTALL: Final = "apt-get install maven"


def folder(cache: Path) -> Path:
    """Where the jars of this pom belong: another pom, another folder."""
    return cache / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"


def find_java(path: str | None = None) -> str:
    """The Java program on *path* (default: PATH), new enough. Raises `Missing`."""
    java = shutil.which("java", path=path)
    if java is None:
        raise Missing(f"Java {OLDEST_JAVA} or newer is missing (Kafka runs on it): {JAVA_INSTALL}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', answer)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise Missing(f"Java {OLDEST_JAVA} or newer is needed and {java} is older: {JAVA_INSTALL}")
    return java


def find_maven(path: str | None = None) -> str:
    """The Maven program on *path* (default: PATH). Raises `Missing`."""
    maven = shutil.which("mvn", path=path)
    if maven is None:
        raise Missing(f"Maven is missing (it fetches Kafka): {MAVEN_INSTALL}")
    return maven


def ensure_jars(cache: Path, say: Say) -> Path:
    """The folder with all jars; fetches them if it is not there yet. Raises `LocalError`."""
    target = folder(cache)
    with locked(cache / "kafka.lock"):
        if not target.exists():
            _fetch(target, say)
    return target


def _fetch(target: Path, say: Say) -> None:
    draft = target.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    copy = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}")
    argv = [find_maven(), "--batch-mode", "--file", str(POM), *copy]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as maven:
        lines = [_report(line, say) for line in maven.stdout or ()]
    if maven.returncode != 0:
        reason = next((line for line in lines if line.startswith("[ERROR]")), "no reason given").strip()
        raise LocalError(f"Maven could not fetch Kafka: {reason}")
    draft.replace(target)


def _report(line: str, say: Say) -> str:
    downloaded = re.match(r"(?:\[INFO\] )?Downloaded from \S+ \S*/(\S+\.jar)(.*)", line)
    if downloaded:
        say("kafka", f"downloaded {downloaded[1]}{downloaded[2]}")
    return line
