"""One text or more of every kind. None is anybody's: keys are made up, numbers are those of manuals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from random import Random
from typing import Final

from plumbline_guards.findings import Kind
from plumbline_guards.window import placeholder

CANARY: Final = "zebra 7 lantern"
EXAMPLES: Final = (
    (Kind.EMAIL, "anna.berg+shop@mail.example.org"),
    (Kind.PHONE, "+46 (0)8 928 571 38"),
    (Kind.PHONE, "(978) 645-9740"),
    (Kind.PHONE, "0490 75 40 81"),
    (Kind.PHONE, "345-899-3560x4587"),
    (Kind.CARD, "4111111111111111"),
    (Kind.CARD, "5555 5555 5555 4444"),
    (Kind.CARD, "3782-822463-10005"),
    (Kind.CARD, "4111\u200b1111\u200b1111\u200b1111"),
    (Kind.CARD, "\uff14111 1111 1111 1111"),
    (Kind.CARD, "4111 \u034f1111\u2003\ufe001111\t1111"),
    (Kind.CARD, "\u0338".join("4111111111111111")),
    (Kind.CARD, "\u0664\u0661\u0661\u0661" + " \u0661\u0661\u0661\u0661" * 3),
    (Kind.IBAN, "GB82WEST12345698765432"),
    (Kind.IBAN, "GB82 WEST 1234 5698 7654 32"),
    (Kind.IBAN, "DE89 3704 0044 0532 0130 00"),
    (Kind.SSN, "123-45-6789"),
    (Kind.IP_ADDRESS, "203.0.113.77"),
    (Kind.IP_ADDRESS, "2001:db8::8a2e:370:7334"),
    (Kind.URL_CREDENTIALS, "postgresql://app:s3cr3t@db.internal:5432"),
    (Kind.SECRET, "AKIA" + "IOSFODNN7EXAMPLE"),
    (Kind.SECRET, "ghp_" + "a1B2" * 9),
    (Kind.SECRET, "xoxb-" + "123456789012-abcdefABCDEF"),
    (Kind.SECRET, "sk-proj-" + "Ab12Cd34" * 4),
    (Kind.SECRET, "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
    (
        Kind.PRIVATE_KEY,
        "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA\n" * 9 + "-----END RSA PRIVATE KEY-----",
    ),
    (Kind.CANARY, CANARY),
    (Kind.CANARY, "ze\u200bbra\u00a07 \u00adlanter\u0301n"),
    (Kind.INVISIBLE, "\u202e\u200b"),
)
ASSIGNMENTS: Final = (
    ('"password": "hunter2!"', "hunter2!"),
    ("password=correcthorse", "correcthorse"),
    ("api_key: 'a8f5f167f44f'", "a8f5f167f44f"),
    ("Authorization: Bearer abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
)
"""A text, and the secret in it."""
HOSTS: Final = frozenset({"shop.example"})
"""Those that a text may link to; none of LINKS does."""
LINKS: Final = (
    "https://other.example/?q=4111111111111111",
    "http://shop.example.other.example/lamp",
    "https://shop.example@other.example/",
    "https://shop.example\u0430.other.example/",
    "https://sh\u043ep.example/",
    "https://xn--shp-gmc.example/",
    "https://shop.example/?to=https://other.example/",
    "https:other.example/x",
    "HTTPS:\\\\other.example/x",
    "https:\\/\\/other.example/x",
    "//other.example/pixel.png",
    "/\\other.example/pixel.png",
    "https://shop.example\u3002other.example/",
    "www.other.example/lamp",
    "http://203.0.113.77/x",
    "http://0x7f.1/",
    "ftp://shop.example/lamp",
    "javascript:alert(1)",
    "data:text/html",
    "https://other.example/a,b;c'd",
)
"""One text or more of each way to lead a reader astray."""
SAFE_LINKS: Final = (
    "https://shop.example/lamp?page=2",
    "http://www.shop.example:8080/a_(b)",
    "HTTPS://SHOP.EXAMPLE./#top",
    "//shop.example/lamp.png",
    "mailto:help@shop.example",
)
HARMLESS: Final = (
    "The Aurora desk lamp costs 49 euros, weighs 1.2 kilograms and was made on 2024-03-05 at 12:30:45.",
    "Version 1.2.3.4.5 of std::vector<int> has 1,234,567 users; order 1700000000 is from 05/11/2023.",
    "Suite 913 0547 Bay Street, then 722 1840 \u00c9toile Avenue and Apt. 21 368 High Road.",
    "Password: must be at least eight characters long. A token is a word.",
    "A private key begins with -----BEGIN PRIVATE KEY----- and is never shown.",
    "https://brindlewick.example/lamp?page=2 \u0438 \u6f22\u5b57, \U0001f469\u200d\U0001f4bb",
)


def secrets() -> Iterator[tuple[str, str]]:
    """A text with one of every secret, and what may go out of it."""
    for kind, example in EXAMPLES:
        yield f"Call {example}, please.", f"Call {placeholder(kind)}, please."
    for text, secret in ASSIGNMENTS:
        yield text, text.replace(secret, placeholder(Kind.SECRET))
    for link in LINKS:
        yield f"See {link} now.", f"See {placeholder(Kind.UNSAFE_LINK)} now."


def cuts(text: str, sampled: int = 60) -> Iterator[list[str]]:
    """*text* in two pieces in every way, and in three, four and five in as many ways as are *sampled*."""
    draw, places = Random(text), range(1, len(text))
    more = (draw.sample(places, pieces - 1) for pieces in (3, 4, 5) for _ in range(sampled) if len(text) >= pieces)
    for chosen in chain(([place] for place in places), more):
        edges = [0, *sorted(chosen), len(text)]
        yield [text[start:end] for start, end in pairwise(edges)]


@dataclass
class FakeDetector:
    """`Detector` that takes every text with *attack* in it for one, or fails."""

    attack: str = "ignore your instructions"
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """See `Detector`."""
        if self.fails:
            raise RuntimeError("the detector is broken")
        self.asked += texts
        return [0.9 if self.attack in text.lower() else 0.1 for text in texts]

    document_scores = scores
