"""An answer as JSON: how a model is asked for it, what is taken, and how it leaves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from plumbline_generation.domain.answer import Claim, ClaimStatus, GroundingRecord, Outcome, Passage
from plumbline_generation.domain.draft import Draft
from plumbline_generation.domain.guarding import BLOCKED, BLOCKED_REASON, OutputGuard, blocked
from plumbline_generation.domain.prompt import Prompt
from plumbline_generation.domain.schema import Schema, as_json_data, parsed, written
from plumbline_generation.domain.settling import Settled
from plumbline_guards.placeholders import Restorer
from plumbline_guards.window import Window
from plumbline_kit.release import GuardSettings

NO_JSON: Final = "INVALID_JSON"
"""The reason of an error, for programs; so are the next two."""
MODEL_FAILED: Final = "MODEL_FAILED"
UNCHECKED: Final = "UNCHECKED_WITHHELD"
MAX_SHOWN_CHARACTERS: Final = 8_000
"""Of what the model wrote, when it is shown to it again."""
ASKED: Final = "Write the answer as one JSON value that fits this JSON schema, and nothing else:"
AGAIN: Final = "This was written before and does not fit:"
WRONG: Final = "What is wrong with it:"
ONCE_MORE: Final = "Write the whole JSON value again, so that it fits the schema."


@dataclass(frozen=True, slots=True)
class Read:
    """What a model wrote, and what is wrong with it."""

    text: str
    value: Any = None
    problems: tuple[str, ...] = ()


class Structuring:
    """One answer's schema, what it may rest on, and the guards that it leaves through."""

    def __init__(
        self,
        schema: Schema,
        settings: GuardSettings,
        guard: OutputGuard,
        passages: Sequence[Passage],
        values: Mapping[str, str],
    ) -> None:
        """*values* are the caller's own, by the placeholders that the model reads for them."""
        self._schema = schema
        self._settings = settings
        self._guard = guard
        self._passages = passages
        self._values = values
        self._windows: list[Window] = []

    def asked(self, prompt: Prompt) -> Prompt:
        """*prompt*, asking for JSON. It says so in words too, for endpoints that cannot be held to a schema."""
        user = f"{prompt.user}\n\n{ASKED}\n{self._schema.words}"
        return replace(prompt, user=user, json_schema=json.dumps(self._schema.content))

    def asked_again(self, prompt: Prompt, read: Read) -> Prompt:
        """What `asked` made, and what came of it."""
        before = as_json_data(read.text[:MAX_SHOWN_CHARACTERS])
        wrong = "\n".join(f"- {as_json_data(problem)}" for problem in read.problems)
        return replace(prompt, user=f"{prompt.user}\n\n{AGAIN}\n{before}\n{WRONG}\n{wrong}\n{ONCE_MORE}")

    def read(self, text: str) -> Read:
        """What the model wrote, held against the schema."""
        found = written(text)
        try:
            value = parsed(found)
        except ValueError as error:
            return Read(text, problems=(f"it is no JSON: {error}",))
        return Read(found, value, tuple(self._schema.problems(value)))

    def told(self, read: Read) -> str:
        """What is wrong with it, as it may leave: names of the model's may stand in it."""
        window = self._guard.window(self._passages)
        text = window.take("; ".join(read.problems)) + window.finish()
        return BLOCKED if window.closed else text

    def settled(self, read: Read) -> Settled:
        """What fits, as it may leave: every name, text and number of it through the guards, and fitting still."""
        value = self._guarded(read.value)
        for window in self._windows:
            if window.closed:
                return Settled(blocked(window), tuple(self._windows))
        text = read.text if value == read.value else json.dumps(value, ensure_ascii=False)
        if self._schema.problems(value):
            held = Draft(BLOCKED, outcome=Outcome.REFUSED, reason=BLOCKED_REASON)
            return Settled(held, tuple(self._windows))
        claim = Claim(0, len(text), (), 0.0, ClaimStatus.NOT_CHECKED)
        record = GroundingRecord(self._settings.unsupported, {ClaimStatus.NOT_CHECKED: 1})
        return Settled(Draft(text, (claim,)), tuple(self._windows), record)

    def _guarded(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._text(name): self._guarded(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._guarded(item) for item in value]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self._text(literal := json.dumps(value)) == literal else self._text(literal)
        return value

    def _text(self, text: str) -> str:
        if not text:
            return text
        window, restorer = self._guard.window(self._passages), Restorer(self._values)
        self._windows.append(window)
        return restorer.take(window.take(text) + window.finish()) + restorer.finish()
