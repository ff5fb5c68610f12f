"""Texts that can say anything, made data: none closes a delimiter, opens a role, or holds a model's control token."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_HIDDEN: Final = "[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*+"
"""Characters that show nothing and that a tokenizer may drop; possessive, or a run of them takes its length squared."""
_LESS: Final = f"[<\uff1c\ufe64]{_HIDDEN}"

_UNPRINTED: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_TOKEN: Final = re.compile(
    rf"{_LESS}(?=[|\uff5c])"  # <|im_start|>, <|eot_id|> and their full-width kin
    rf"|{_LESS}(?=/?(?:s|bos|eos|pad|unk|mask|cls|sep|sop|eop|think|reponame|filename|0x[0-9a-f]{{2}})>)"
    rf"|{_LESS}(?=/?[a-z][a-z0-9]*(?:_[a-z0-9]+)+>)"  # <start_of_turn>, <BOS_TOKEN>, <file_sep>, <extra_id_0>
    rf"|{_LESS}(?={_LESS}/?SYS>)"
    r"|\[(?=/?[a-z]?(?-i:[A-Z]{3,}(?:_[A-Z]+)*)\])|\[(?=/?inst\])",  # [INST], [TOOL_CALLS], [gMASK]
    re.IGNORECASE,
)
_UNFINISHED: Final = re.compile(rf"(?:{_LESS}|\[)(?=[/|\uff5c\w]*$)")
"""What the next text could make a token of."""
_MARKER: Final = re.compile(r"[\[\u3010](\s?\^?\d{1,3}\s?(?:[,;]\s?\^?\d{1,3}\s?)*)[\]\u3011]")
"""What an answer's own markers may look like; white space is one space by then."""
_UNFINISHED_MARKER: Final = re.compile(r"[\[\u3010](?=[\d,;^\s]*$)")
_ROLES: Final = (
    "system", "user", "assistant", "human", "ai", "bot", "model", "tool", "developer", "function",
    "instruction", "instructions", "input", "response", "question", "answer", "context", "passage", "passages",
)  # fmt: skip
TAG: Final = re.compile(r"</?([a-z][\w.:-]*)", re.IGNORECASE)
_LABEL: Final = re.compile(r"^[ \t]*(\w[\w ]{0,30}?)[ \t]*:", re.MULTILINE)
FENCE: Final = re.compile(r"([`\"'~=*#+_:.-])\1{2,}")


@dataclass(frozen=True, slots=True)
class DataFilter:
    """Makes texts data within a prompt whose own words are known."""

    opens_role: re.Pattern[str]
    tag: re.Pattern[str] | None
    fences: str
    """The characters of which three in a row are a delimiter."""

    @classmethod
    def beside(cls, words: Iterable[str]) -> "DataFilter":
        """For texts that stand between *words*, whose tags, labels and fences they must not hold."""
        own = "\n".join(words)
        labels = {*_ROLES, *(label.casefold() for label in _LABEL.findall(own))}
        tags = "|".join(sorted({re.escape(tag) for tag in TAG.findall(own)}, key=len, reverse=True))
        return cls(
            re.compile(rf"^((?:[\W_]{{0,8}})(?:{'|'.join(map(re.escape, labels))})[\W_]{{0,8}}?)\s*[:\uff1a]", re.I),
            re.compile(rf"{_LESS}(?=\s*/?\s*{_HIDDEN}(?:{tags})(?!\w))", re.I) if tags else None,
            "".join(sorted(set(FENCE.findall(own)))),
        )

    def __call__(self, text: str) -> str:
        """*text* on one line. What a chat template or the prompt's own form gives a meaning has lost it.

        A control token such as <|im_start|> gets a space inside, which no tokenizer takes for the token; a marker
        such as [1] becomes (1), a tag that the prompt itself uses &lt;tag>, and "System:" at the beginning "System -".
        Line ends become spaces, so that nothing can pose as the next passage or the question.
        """
        line = _UNPRINTED.sub("", " ".join(text.split()))
        line = line.lstrip("#").lstrip() if line.startswith("#") else line
        if self.tag:
            line = self.tag.sub("&lt;", line)
        for character in self.fences:
            line = re.sub(rf"{re.escape(character)}{{3,}}", character * 2, line)
        line = _UNFINISHED_MARKER.sub("(", _MARKER.sub(r"(\1)", line))
        line = _UNFINISHED.sub(r"\g<0> ", _TOKEN.sub(r"\g<0> ", line))
        return self.opens_role.sub(r"\1 -", line)


as_data: Final = DataFilter.beside(())
"""Without a prompt's own words."""
