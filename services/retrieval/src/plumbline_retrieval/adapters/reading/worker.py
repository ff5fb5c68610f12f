"""The process that reads files, one after the other and within limits, until its input ends.

`sandbox` starts it as `python -m plumbline_retrieval.adapters.reading.worker MODULE FUNCTION SECONDS`.
"""

import json
import logging
import math
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import BinaryIO, Final

from plumbline_kit.errors import Invalid
from plumbline_retrieval.adapters.reading.wire import HUNGRY, LENGTH_BYTES, READY, REFUSED, answer, framed
from plumbline_retrieval.domain.content import Content, File

MAX_MEMORY_BYTES: Final = 1536 * 1024 * 1024
"""Above what the worker takes before its first file: the tree of 100 MiB of XML, and some."""
GRACE_SECONDS: Final = 5
"""By how much a worker whose service was killed outlives its file's time."""

Read = Callable[[File], Content]


def main(module: str, function: str, seconds: float) -> None:
    """Serve until the input ends or a file has left this process unfit for another."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # a parser that prints must not break the answers
    read: Read = getattr(import_module(module), function)
    _settle()
    _write(answers, READY)
    fit = True
    while fit and (length := requests.read(LENGTH_BYTES)):
        file = _file(requests, int.from_bytes(length, "big"))
        signal.alarm(math.ceil(seconds) + GRACE_SECONDS)
        said, fit = _said(read, file)
        signal.alarm(0)
        _write(answers, said)


def _settle() -> None:
    """Keep this process within its memory, silent about what it reads, and out of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service decides when its workers end
    logging.disable()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would be a copy of somebody's document
    if size := _address_space():
        resource.setrlimit(resource.RLIMIT_AS, (size + MAX_MEMORY_BYTES,) * 2)


def _address_space() -> int:
    """Bytes that this process has mapped; 0 where the system does not tell (and does not limit them either)."""
    try:
        with open("/proc/self/statm", "rb") as sizes:
            return int(sizes.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _file(requests: BinaryIO, length: int) -> File:
    head = json.loads(requests.read(length))
    return File(head["name"], requests.read(head["size"]), head["media_type"])


def _said(read: Read, file: File) -> tuple[bytes, bool]:
    """The answer, and whether this process is fit for another file."""
    try:
        return answer(read(file)), True
    except Invalid as error:
        return framed({REFUSED: error.violations[0].description}), True
    except MemoryError:
        return framed({HUNGRY: True}), False


def _write(answers: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[answers.write(left) :]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
