"""The error tree as gRPC status codes, and back: the only place where either turns into the other."""

from typing import Final, TypeGuard

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from plumbline_kit.errors import (
    DeadlineExceeded,
    Exhausted,
    FieldViolation,
    Invalid,
    NotFound,
    PermissionDenied,
    PlumblineError,
    Retryable,
    Unauthenticated,
    Unavailable,
    Unfulfilled,
)

CODES: Final[dict[type[PlumblineError], grpc.StatusCode]] = {
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    Unfulfilled: grpc.StatusCode.FAILED_PRECONDITION,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}
DOMAIN: Final = "plumbline"
"""Of the reasons that errors tell."""
DETAILS_KEY: Final = "grpc-status-details-bin"
DEFAULT_RETRY_SECONDS: Final = 1.0
TEXT_BYTES: Final = 800
MOST_VIOLATIONS: Final = 8
FIELD_BYTES: Final = 100
DESCRIPTION_BYTES: Final = 200
"""A status travels in headers, of which clients take 8 KB: one that is larger would hide what went wrong."""


def code_of(error: Exception) -> grpc.StatusCode:
    """The code of the nearest class in the table; INTERNAL where there is none."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), grpc.StatusCode.INTERNAL)


def is_promised(error: Exception) -> TypeGuard[PlumblineError]:
    """Whether *error* is in the table, so that its text may reach the caller."""
    return isinstance(error, tuple(CODES))


def text_of(error: PlumblineError) -> str:
    """The error's text, cut to what a status can carry."""
    return _cut(str(error), TEXT_BYTES)


def details_of(error: PlumblineError) -> bytes:
    """A serialised google.rpc.Status with field violations, a retry hint, a reason."""
    status = Status(code=code_of(error).value[0], message=text_of(error))
    if isinstance(error, Invalid) and error.violations:
        _pack(status, BadRequest(field_violations=[_violation(each) for each in error.violations[:MOST_VIOLATIONS]]))
    if isinstance(error, Retryable):
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after * 1e9))
        _pack(status, RetryInfo(retry_delay=delay))
    if error.reason:
        _pack(status, ErrorInfo(reason=error.reason, domain=DOMAIN))
    return bytes(status.SerializeToString())


def translate(error: grpc.aio.AioRpcError) -> PlumblineError:
    """What another service's status means here. A fault of that service is `Unavailable` to us."""
    text = error.details() or error.code().name
    status = _status(error)
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        return Invalid(text, *_violations(status))
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Exhausted(text, retry_after=_retry_after(status), reason=_reason(status))
    if error.code() == grpc.StatusCode.FAILED_PRECONDITION and (reason := _reason(status)):
        return Unfulfilled(text, reason=reason)
    for kind in (NotFound, Unauthenticated, PermissionDenied, DeadlineExceeded):
        if CODES[kind] == error.code():
            return kind(text)
    return Unavailable(text, retry_after=_retry_after(status), reason=_reason(status))


def _pack(status: Status, detail: BadRequest | RetryInfo | ErrorInfo) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _violation(violation: FieldViolation) -> BadRequest.FieldViolation:
    field, description = _cut(violation.field, FIELD_BYTES), _cut(violation.description, DESCRIPTION_BYTES)
    return BadRequest.FieldViolation(field=field, description=description)


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most_bytes else f"{encoded[:most_bytes].decode(errors='ignore')}…"


def _status(error: grpc.aio.AioRpcError) -> Status:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return Status.FromString(value)
    return Status()


def _violations(status: Status) -> list[FieldViolation]:
    found = BadRequest()
    for detail in status.details:
        detail.Unpack(found)
    return [FieldViolation(each.field, each.description) for each in found.field_violations]


def _reason(status: Status) -> str:
    found = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(found) and found.domain == DOMAIN:
            return found.reason
    return ""


def _retry_after(status: Status) -> float:
    found = RetryInfo()
    for detail in status.details:
        if detail.Unpack(found):
            return float(found.retry_delay.ToTimedelta().total_seconds())
    return DEFAULT_RETRY_SECONDS
