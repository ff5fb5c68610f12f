"""JSON schemas as callers bring them, and JSON as models write it: what is taken, and what is wrong with it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import jsonschema_rs

from plumbline_guards.findings import Kind
from plumbline_guards.scanner import scan
from plumbline_kit.errors import Invalid

FIELD: Final = "json_schema"
MAX_CHARACTERS: Final = 16_000
MAX_DEPTH: Final = 48
"""References followed."""
MAX_VALUE_DEPTH: Final = 100
"""Of lists and objects within others."""
MAX_NODES: Final = 5_000
"""References followed, so that no small schema stands for a large one."""
MOST_PROBLEMS: Final = 8
MAX_PROBLEM_CHARACTERS: Final = 200
DRAFTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
FOREIGN: Final = ("$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary")
PRIVATE: Final = frozenset({Kind.CARD, Kind.SSN, Kind.IBAN, Kind.SECRET, Kind.PRIVATE_KEY, Kind.URL_CREDENTIALS})
"""What a question's placeholders hide; a shape needs none of it."""
LEAST_WORDS: Final = 4
LONGEST_NAME: Final = 40
_PROSE_WORD: Final = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]{2,}")
_FENCED: Final = re.compile(r"^```(?:json)?[ \t]*\n(.*?)\n?```$", re.DOTALL | re.IGNORECASE)
_CONTROL: Final = re.compile(r"\[(?=/|[A-Z]|inst\]|gMASK)")


@dataclass(frozen=True)  # without slots, which know no cached properties
class Schema:
    """A JSON schema that stands alone: small, without cycles, without references to elsewhere."""

    text: str
    """As it came."""
    content: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Schema":
        """Raises `Invalid` that says where it is wrong."""
        if len(text) > MAX_CHARACTERS:
            raise _wrong(f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
        try:
            content = parsed(text)
        except ValueError as error:
            raise _wrong(f"is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise _wrong("is no JSON object")
        if found := {finding.kind for finding in scan(text)} & PRIVATE:
            raise _wrong(f"holds what looks like {', '.join(sorted(kind.name.lower() for kind in found))}")
        content.pop("$id", None)
        _check_draft(content)
        _Walk(content).check()
        schema = cls(text, content)
        schema._compile()
        return schema

    @property
    def words(self) -> str:
        """What a model reads of it: all of it."""
        return as_json_data(self.content)

    @property
    def prose(self) -> str:
        """What of it may say something in words, a line each."""
        return "\n".join(
            text for text in _texts(self.content) if text.removesuffix("#") not in DRAFTS and _is_prose(text)
        )

    def problems(self, value: Any) -> list[str]:
        """What is wrong with *value*, where in it, without its texts and numbers; nothing if it fits."""
        errors = self._validator.iter_errors(value)
        return [_told(error) for _, error in zip(range(MOST_PROBLEMS), errors, strict=False)]

    def _compile(self) -> None:
        try:
            _ = self._validator
        except ValueError as error:
            where, message = getattr(error, "instance_path", ()), getattr(error, "message", str(error))
            raise _wrong(f"is wrong at {_pointer(where)}: {message[:MAX_PROBLEM_CHARACTERS]}") from error

    @cached_property
    def _validator(self) -> Any:
        # The linear engine: a pattern of the caller's must not take longer than the text that it is held against.
        return jsonschema_rs.validator_for(
            dict(self.content),
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask="what stands there",
        )


def parsed(text: str) -> Any:
    """JSON as RFC 8259 has it, each name once in an object. Raises `ValueError`: what is wrong, and where."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        if _depth(value) > MAX_VALUE_DEPTH:
            raise ValueError("it is nested too deeply")
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair") from error
    return value


def written(text: str) -> str:
    """The JSON in a model's text: without white space and a fence around it."""
    stripped = text.strip()
    fenced = _FENCED.match(stripped)
    return fenced.group(1).strip() if fenced else stripped


def as_json_data(value: Any) -> str:
    """JSON on one line that holds no token to which a chat template gives a meaning."""
    return _CONTROL.sub(r"\\u005b", json.dumps(value, separators=(",", ":")).replace("<", r"\u003c"))


class _Walk:
    """One look at a schema, references followed."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self) -> None:
        """Raises `Invalid`."""
        if self._size(self._root, "", 1) > MAX_NODES:
            raise _wrong(f"stands for more than {MAX_NODES:,} nodes when its references are followed")

    def _size(self, node: Any, at: str, depth: int) -> int:
        if not isinstance(node, dict | list):
            return 1
        if depth > MAX_DEPTH:
            raise _wrong(f"is nested more than {MAX_DEPTH} deep at {at[:60]}")
        if id(node) in self._open:
            raise _wrong(f"refers to itself at {at}, so that an answer could be of any depth")
        if id(node) not in self._sizes:
            self._open.add(id(node))
            self._sizes[id(node)] = 1 + sum(
                self._size(child, where, depth + 1) for child, where in self._parts(node, at)
            )
            self._open.remove(id(node))
        return self._sizes[id(node)]

    def _parts(self, node: Any, at: str) -> Iterator[tuple[Any, str]]:
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for name, child in pairs:
            where = f"{at}/{name}"
            if isinstance(child, str) and name in (*FOREIGN, "$id"):
                raise _wrong(f"has {name} at {where}, which is not taken")
            yield (self._target(child, where) if name == "$ref" and isinstance(child, str) else child), where

    def _target(self, reference: str, at: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise _wrong(f"refers to {reference[:60]!r} at {at}; only what stands in it (#/...) may be referred to")
        node: Any = self._root
        try:
            for step in reference.split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                node = node[int(name)] if isinstance(node, list) else node[name]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise _wrong(f"refers to {reference[:60]!r} at {at}, which is not there") from error
        return node


def _texts(node: Any) -> Iterator[str]:
    """Every name and every text."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
    elif isinstance(node, dict):
        for name, item in node.items():
            yield name
            yield from _texts(item)


def _is_prose(text: str) -> bool:
    """Whether it may say something: single words and keywords say nothing, and together read like an attack."""
    return len(_PROSE_WORD.findall(text)) >= LEAST_WORDS or len(text) > LONGEST_NAME


def _check_draft(content: Mapping[str, Any]) -> None:
    draft = content.get("$schema", DRAFTS[0])
    if not isinstance(draft, str) or draft.removesuffix("#") not in DRAFTS:
        raise _wrong(f"has a $schema that is not known; known are {', '.join(DRAFTS)}")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [item for node in level if isinstance(node, dict | list) for item in _items(node)]:
        depth += 1
    return depth


def _items(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _told(error: Any) -> str:
    return f"at {_pointer(error.instance_path)}: {error.message}"[:MAX_PROBLEM_CHARACTERS]


def _pointer(path: Any) -> str:
    return "/" + "/".join(map(str, path)) if path else "the top"


def _wrong(description: str) -> Invalid:
    return Invalid.field(FIELD, description)
