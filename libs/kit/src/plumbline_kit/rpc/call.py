"""The call that is being served: who asks, under which name, until when."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace

from plumbline_kit.identity import Identity

_current: ContextVar["Call"] = ContextVar("plumbline_call")


@dataclass(frozen=True, slots=True)
class Call:
    """What an rpc handler may know of its caller beyond the request."""

    identity: Identity
    request_id: str
    deadline: float
    """In seconds of `time.monotonic()`."""
    token: str

    def remaining(self) -> float:
        """Seconds until the caller gives up; negative once it has."""
        return self.deadline - time.monotonic()


def current_call() -> Call:
    """The call being served in this task. Raises `LookupError` outside of one."""
    return _current.get()


def calling() -> Call | None:
    """The call being served in this task, if there is one."""
    return _current.get(None)


def outlive(seconds: float) -> None:
    """Let this task work on as the current caller, for *seconds* from now, after the call has been answered.

    For a task of its own: the call and other tasks of it keep their deadline. The caller's token is not renewed.
    """
    enter(replace(current_call(), deadline=time.monotonic() + seconds))


def enter(call: Call) -> None:
    """Make *call* the current one of this task, which serves no other."""
    _current.set(call)
