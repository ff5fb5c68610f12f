"""One text or more of every kind. None is anybody's: keys are made up, numbers are those of manuals."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from plumbline_guards.findings import Kind

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
    (Kind.INVISIBLE, "\u202e\u200b"),
)
ASSIGNMENTS: Final = (
    ('"password": "hunter2!"', "hunter2!"),
    ("password=correcthorse", "correcthorse"),
    ("api_key: 'a8f5f167f44f'", "a8f5f167f44f"),
    ("Authorization: Bearer abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
)
"""A text, and the secret in it."""
HARMLESS: Final = (
    "The Aurora desk lamp costs 49 euros, weighs 1.2 kilograms and was made on 2024-03-05 at 12:30:45.",
    "Version 1.2.3.4.5 of std::vector<int> has 1,234,567 users; order 1700000000 is from 05/11/2023.",
    "Password: must be at least eight characters long. A token is a word.",
    "A private key begins with -----BEGIN PRIVATE KEY----- and is never shown.",
    "https://brindlewick.example/lamp?page=2 \u0438 \u6f22\u5b57, \U0001f469\u200d\U0001f4bb",
)


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
