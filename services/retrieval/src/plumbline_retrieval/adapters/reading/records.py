"""Records as blocks of text: what a row of a table and an object of JSON become."""

from collections.abc import Iterable

from plumbline_retrieval.adapters.reading.extract import refused
from plumbline_retrieval.domain.document import MAX_TEXT_BYTES

Field = tuple[str, str]
"""A name, which may be empty, and a value."""


def record(fields: Iterable[Field]) -> str:
    """A line "name: value" for each field that has a value; never an empty line, which would end the record."""
    return "\n".join(f"{name}: {value}" if name else value for name, value in map(_lines, fields) if value)


def blocks(records: Iterable[str]) -> str:
    """The records with one empty line between them; those without a value are left out.

    Raises `Invalid` as soon as they are more than a document may have: a million rows take long to write down.
    """
    kept, size = [], 0
    for each in filter(None, records):
        kept.append(each)
        size += len(each)
        if size > MAX_TEXT_BYTES:
            raise refused(
                f"has more than {MAX_TEXT_BYTES:,} bytes of text in its first {len(kept):,} records: split it"
            )
    return "\n\n".join(kept)


def _lines(field: Field) -> Field:
    name, value = field
    lines = (" ".join(line.split()) for line in value.splitlines())
    return " ".join(name.split()).rstrip(":"), "\n".join(line for line in lines if line)
