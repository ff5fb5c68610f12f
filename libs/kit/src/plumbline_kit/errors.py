"""The whole error tree. Raise the leaf that says who must act.

PlumblineError          anything below
  Invalid               the caller must change the request; a consumer dead-letters the message
  NotFound              the caller asked for what is not there
  Unauthenticated       the caller must bring a valid token
  PermissionDenied      the caller's token does not allow this
  Unfulfilled           the caller may ask otherwise: what was asked for did not come about
  DeadlineExceeded      nobody must act: the caller's time is over
  Retryable             trying again later may help
    Exhausted           the caller must come back later: a limit is reached
    Unavailable         nobody must act: something outside is away
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of a request."""

    field: str
    description: str


class PlumblineError(Exception):
    """Base of all errors that are part of a service's promise. Its text may reach the caller."""

    reason: str = ""
    """What went wrong, for programs: a word in capitals, where callers tell one case of the error from the others."""


class Invalid(PlumblineError):
    """The request or message is wrong and will be wrong next time too."""

    def __init__(self, message: str, *violations: FieldViolation) -> None:
        super().__init__(message)
        self.violations = violations

    @classmethod
    def field(cls, field: str, description: str) -> "Invalid":
        """One wrong field: the message names it, and the violation carries it to the caller."""
        return cls(f"{field} {description}", FieldViolation(field, description))


class NotFound(PlumblineError):
    """The thing asked for does not exist, or not for this tenant."""


class Unauthenticated(PlumblineError):
    """There is no valid token."""


class PermissionDenied(PlumblineError):
    """The token is valid and does not allow this."""


class Unfulfilled(PlumblineError):
    """What was asked for did not come about, though nothing in the request is malformed."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeadlineExceeded(PlumblineError):
    """The caller's deadline has passed, or is too near to start the work."""


class Retryable(PlumblineError):
    """Trying again later may help."""

    def __init__(self, message: str, *, retry_after: float = 1.0, reason: str = "") -> None:
        """*retry_after* is a hint in seconds."""
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class Exhausted(Retryable):
    """A limit of the caller or of this server is reached."""


class Unavailable(Retryable):
    """Something this service needs is away."""
