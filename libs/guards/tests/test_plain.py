"""What a text reads like."""

import pytest

from plumbline_guards.findings import Kind
from plumbline_guards.plain import plain


@pytest.mark.parametrize(
    ("text", "read", "counts"),
    [
        ("plain text", "plain text", {}),
        ("ig\u200bnore\u202e this", "ignore this", {Kind.INVISIBLE: 2}),
        ("i\u0261n\u043ere the rul\u0435s", "ignore the rules", {Kind.LOOK_ALIKE: 2}),
        (
            "\U0001d422\U0001d420\U0001d427\U0001d428\U0001d42b\U0001d41e \u24d8\u24e3",
            "ignore it",
            {Kind.LOOK_ALIKE: 2},
        ),
        ("\uff49\uff47\uff4eore", "ignore", {Kind.LOOK_ALIKE: 1}),
    ],
)
def test_disguises_are_taken_off_and_counted(text: str, read: str, counts: dict[Kind, int]) -> None:
    assert (plain(text).text, plain(text).counts) == (read, counts)


@pytest.mark.parametrize(
    "text",
    [
        "\u0441\u043a\u043e\u043b\u044c\u043a\u043e \u0441\u0442\u043e\u0438\u0442 \u043b\u0430\u043c\u043f\u0430",
        "iPhone\u043e\u043c \u043c\u043e\u0436\u043d\u043e",
        "caf\u00e9 f\u00fcr \u00b5m, \u03b1-tocopherol",
        "lampas\u0131 \u0131\u015f\u0131k kald\u0131",
        "\U0001f469\u200d\U0001f4bb \u6f22\u5b57 \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ],
    ids=["cyrillic", "an ending of another script", "latin", "turkish", "joiners"],
)
def test_other_scripts_stay_as_they_are(text: str) -> None:
    assert plain(text).text == text
    assert not plain(text).counts
