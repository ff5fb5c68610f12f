"""What was said before, bounded, and kept in a file where one is named."""

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline_cli.problems import Problem

KEPT_TURNS: Final = 20
"""The gateway takes more, and looks at fewer."""
MAX_CHARACTERS: Final = 8_000
"""Of a turn, as the contract has it; of a longer one the beginning is kept."""
MAX_ALL_CHARACTERS: Final = 100_000
"""Of all turns, as the contract has it; the oldest go first."""
ROLES: Final = {"user": common_pb.TURN_ROLE_USER, "assistant": common_pb.TURN_ROLE_ASSISTANT}
_NAMES: Final = {role: name for name, role in ROLES.items()}


@dataclass
class Conversation:
    """The last turns, oldest first."""

    file: Path | None = None
    """JSON, one turn a line: {"role": "user", "text": "..."}."""
    turns: deque[common_pb.Turn] = field(default_factory=lambda: deque(maxlen=KEPT_TURNS))

    @classmethod
    def of(cls, file: Path | None) -> "Conversation":
        """The conversation that *file* holds, a new one where there is none. Raises `Problem` for another file."""
        conversation = cls(file)
        if file is not None and file.exists():
            lines = file.read_text(encoding="utf-8", errors="replace").split("\n")  # JSON may hold the other line ends
            conversation.turns.extend(_turn(file, number, line) for number, line in enumerate(lines, start=1) if line)
        return conversation

    def add(self, question: str, answer: str) -> None:
        """Remember what was asked and answered."""
        for role, text in ((common_pb.TURN_ROLE_USER, question), (common_pb.TURN_ROLE_ASSISTANT, answer)):
            if text.strip():
                self.turns.append(common_pb.Turn(role=role, text=text[:MAX_CHARACTERS]))
        while sum(len(turn.text) for turn in self.turns) > MAX_ALL_CHARACTERS:
            self.turns.popleft()
        if self.file is not None:
            self.file.write_text("".join(map(_line, self.turns)), encoding="utf-8")


def _line(turn: common_pb.Turn) -> str:
    return json.dumps({"role": _NAMES[turn.role], "text": turn.text}, ensure_ascii=False) + "\n"


def _turn(file: Path, number: int, line: str) -> common_pb.Turn:
    try:
        content = json.loads(line)
        return common_pb.Turn(role=ROLES[content["role"]], text=content["text"])
    except (ValueError, KeyError, TypeError) as error:
        wanted = '{"role": "user", "text": "..."}, with the role user or assistant'
        raise Problem(f"{file}, line {number} is no turn of a conversation: wanted is {wanted}") from error
