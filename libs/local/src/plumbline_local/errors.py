"""What can go wrong on one machine; every text is one sentence that says what to do.

LocalError          anything below
  Missing           a program is not installed
  PortTaken         another process listens where a part must listen
  PartFailed        a part does not start; its log says why
"""


class LocalError(Exception):
    """Base of what the local platform reports to its user."""


class Missing(LocalError):
    """A program that the platform needs is not installed."""


class PortTaken(LocalError):
    """Somebody else listens on a port of the table."""


class PartFailed(LocalError):
    """A part stopped again and again before it was ever healthy."""
