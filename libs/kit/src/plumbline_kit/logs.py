"""Logs as JSON lines, each with the trace, the request and the service it belongs to."""

import logging
import sys

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger


def configure(service: str, level: str) -> None:
    """Send every log line of this process to stderr as JSON; *level* is a name such as "info"."""
    least = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Service(service),
            add_trace,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=_Stderr,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)


def add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Name the current span, where there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


class _Stderr:
    """Writes to what `sys.stderr` is at the time, line by line, so that lines of several threads do not mix."""

    def __init__(self, *names: object) -> None:
        pass

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = fatal = msg


class _Service:
    """Says which service a line is from."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["service"] = self._name
        return event


class _Bridge(logging.Handler):
    """Turns what libraries log into lines of the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, "library_log", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
        )
