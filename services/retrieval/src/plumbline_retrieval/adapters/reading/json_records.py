"""Reads JSON and JSON lines: every object becomes a record."""

import json
from collections.abc import Iterator
from typing import Any, Final

from plumbline_retrieval.adapters.reading.extract import Extract, listed, refused
from plumbline_retrieval.adapters.reading.records import Field, blocks, record
from plumbline_retrieval.adapters.reading.text import decode
from plumbline_retrieval.domain.content import Layout

_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
"""Numbers stay as they are written: 1.10 is not 1.1, and none is too long."""

Line = tuple[int, Any]


def read_json(data: bytes) -> Extract:
    """One JSON value: an array gives a record for each element, an object around an array as well."""
    text, notes = decode(data)
    try:
        return _extract(list(_values(_DECODER.decode(text.strip()))), notes)
    except json.JSONDecodeError as error:
        if _opens_with_a_complete_line(text):
            return _read_lines(text, notes)
        where = f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}"
        raise refused(f"is no JSON ({where}): correct it and send it again") from error


def read_json_lines(data: bytes) -> Extract:
    """A JSON value in each line; lines that hold none are left out with a note."""
    text, notes = decode(data)
    if _opens_with_a_complete_line(text):
        return _read_lines(text, notes)
    try:  # an array over many lines is what most mistake for JSON lines
        return _extract(list(_values(_DECODER.decode(text.strip()))), notes)
    except json.JSONDecodeError:
        return _read_lines(text, notes)


def _read_lines(text: str, notes: tuple[str, ...]) -> Extract:
    values, broken = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(_DECODER.decode(line.strip()))
            except (json.JSONDecodeError, RecursionError):
                broken.append(number)
    if not values:
        raise refused("holds no line that is JSON: write one object in each line")
    lines = "line" if len(broken) == 1 else "lines"
    skipped = (f"{lines} {listed(broken)} left out: no JSON",) if broken else ()
    return _extract(values, (*notes, *skipped))


def _extract(values: list[Any], notes: tuple[str, ...]) -> Extract:
    text = blocks(record(_fields("", value)) for value in values)
    if not text:
        raise refused("holds JSON without a value: fill it and send it again")
    return Extract(text, layout=Layout.RECORDS, notes=notes)


def _opens_with_a_complete_line(text: str) -> bool:
    first = text.lstrip().partition("\n")[0].strip()
    try:
        return first != text.strip() and isinstance(_DECODER.decode(first), dict)
    except json.JSONDecodeError:
        return False


def _values(value: Any) -> Iterator[Any]:
    """The records in a *value*: its elements; those of its only list of objects, after what stands beside it."""
    if isinstance(value, list):
        yield from value
        return
    lists = [name for name, each in value.items() if _is_objects(each)] if isinstance(value, dict) else []
    if len(lists) != 1:
        yield value
        return
    yield {name: each for name, each in value.items() if name != lists[0]}
    yield from value[lists[0]]


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, dict) for each in value)


def _fields(name: str, value: Any) -> Iterator[Field]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _fields(f"{name}.{key}" if name else key, each)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, each in enumerate(value):
            yield from _fields(f"{name}.{number}" if name else str(number), each)
    elif isinstance(value, list):
        yield name, ", ".join(map(_scalar, value))
    else:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)
