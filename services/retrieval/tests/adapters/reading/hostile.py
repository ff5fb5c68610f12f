"""Readers that do what a broken parser does."""

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from plumbline_kit.errors import Invalid
from plumbline_retrieval.domain.content import Content, File, Layout


def read(file: File) -> Content:
    """Misbehaves as the file's name says, and reads any other file."""
    text = f"{file.name} in {os.getpid()}"
    if file.name in MISDEEDS:
        text = MISDEEDS[file.name](file) or text
    _read_before.append(file.name)
    return Content("Title", text, Layout.PROSE, "text/plain", ("a note",))


def leave(_: File) -> None:
    os._exit(1)


def crash(_: File) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hunger(_: File) -> None:
    hoard = []
    while True:
        hoard.append(bytes(256 * 1024 * 1024))


def loop(file: File) -> None:
    """Tells the socket that the file names, if it names one, who will never come back."""
    if file.data.startswith(b"/"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.connect(file.data.decode())
            listener.sendall(f"{os.getpid()}\n".encode())
    while True:
        pass


def refuse(_: File) -> None:
    raise Invalid.field("file", "is not to my taste")


def chatter(_: File) -> None:
    os.write(1, b"words of a parser\n")


def die_of_an_earlier_file(file: File) -> None:
    if _read_before:
        leave(file)


def environment(_: File) -> str:
    return " ".join(sorted(os.environ))  # noqa: TID251  # what it does not hold is the point


def cannot_start(file: File) -> Content:
    raise AssertionError(file)


_read_before: list[str] = []
MISDEEDS: dict[str, Callable[[File], Any]] = {
    "exit": leave,
    "segfault": crash,
    "hunger": hunger,
    "loop": loop,
    "refuse": refuse,
    "print": chatter,
    "ruined": die_of_an_earlier_file,
    "environment": environment,
}
