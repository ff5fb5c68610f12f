"""What a guard can find."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a piece of text is. The value is the placeholder's word."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    IBAN = "iban"
    SSN = "ssn"
    IP_ADDRESS = "ip"
    URL_CREDENTIALS = "credentials"
    SECRET = "secret"
    PRIVATE_KEY = "private key"
    CANARY = "canary"
    INVISIBLE = "invisible"
    """Characters that are not seen, or that turn the direction of others. Their placeholder is nothing."""
    LONG_RUN = "long run"
    """More characters without a break than are looked at: it may be anything, so it counts as a finding."""
    LOOK_ALIKE = "look-alike"
    """Letters of another script in a Latin word, chosen to look like its own."""
    UNSAFE_LINK = "link"
    """An address that a reader may follow. Which ones are unsafe, who knows what they may rest on decides."""
    DENIED_TOPIC = "topic"
    """A phrase that a policy denies."""
    INJECTION = "injection"
    """A question that tries to turn a model against its instructions."""
    INSTRUCTIONS = "instructions"
    """A document's text that speaks to the model."""


NEVER_TOLD: Final = frozenset({Kind.CARD, Kind.SSN, Kind.SECRET, Kind.PRIVATE_KEY, Kind.URL_CREDENTIALS, Kind.LONG_RUN})
"""What no answer is asked for: it leaves in none, wherever it stands."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Code points *start* to *end* of the text."""

    kind: Kind
    start: int
    end: int
