"""What went wrong, in one sentence that says what to do: the one place where errors become words for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
import psycopg
from confluent_kafka import KafkaException

from plumbline_kit.errors import PlumblineError, Retryable
from plumbline_kit.rpc import translate
from plumbline_local.errors import LocalError
from plumbline_prompts.errors import PromptProblem

ADVICE: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "`plumbline up` writes a fresh token, PLUMBLINE_TOKEN names another",
    grpc.StatusCode.PERMISSION_DENIED: "use a token that has it; `plumbline token --scopes` makes one",
    grpc.StatusCode.DEADLINE_EXCEEDED: "`plumbline status` shows whether all parts are well",
}


class Problem(Exception):
    """Something the user can act on; its text is the whole sentence."""


@contextmanager
def calling(service: str, address: str) -> Iterator[None]:
    """Turn the failure of a call to *service* into a `Problem`."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Problem(call_sentence(service, address, error)) from error


@contextmanager
def using_kafka(bootstrap_servers: str) -> Iterator[None]:
    """Turn the failure of something on Kafka into a `Problem`."""
    try:
        yield
    except KafkaException as error:
        reason = error.args[0].str()
        raise Problem(f"Kafka at {bootstrap_servers} does not answer ({reason}): `plumbline up` starts it") from error


@contextmanager
def using_traces() -> Iterator[None]:
    """Turn the failure of the trace store into a `Problem`."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise Problem("the trace store does not answer: `plumbline up` starts it, TRACES_DSN names another") from error
    except psycopg.errors.UndefinedTable as error:
        raise Problem("the trace store is empty: ask something first") from error


def call_sentence(service: str, address: str, error: grpc.aio.AioRpcError) -> str:
    """Why a call failed and what to do about it."""
    translated = translate(error)
    if _never_arrived(error):
        return f"{service} does not answer at {address}: start the platform with `plumbline up`"
    if error.code() in ADVICE:
        return f"{service}: {_text(error)}: {ADVICE[error.code()]}"
    if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        return f"{service} failed: {_text(error)}: its log under .plumbline/logs says why"
    if isinstance(translated, Retryable):
        return f"{service}: {_text(error)}: try again in {translated.retry_after:g} s"
    return f"{service}: {_text(error)}"


def sentence(error: Exception) -> str | None:
    """What to tell the user of *error*; None for a bug of ours."""
    match error:
        case Problem() | LocalError() | PlumblineError() | PromptProblem():
            return str(error)
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason.lower()}"
    return None


def _text(error: grpc.aio.AioRpcError) -> str:
    return (error.details() or error.code().name).rstrip(".")


def _never_arrived(error: grpc.aio.AioRpcError) -> bool:
    """Whether no server answered: whoever answers says more than a code."""
    return error.code() == grpc.StatusCode.UNAVAILABLE and not error.trailing_metadata()
