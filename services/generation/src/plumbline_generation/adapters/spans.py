"""The span of a call to the model, by OpenTelemetry's conventions for generative AI."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue
from yarl import URL

from plumbline_generation.ports import Finish, ModelFailed
from plumbline_kit.release import ModelSettings
from plumbline_kit.telemetry import names, tracer

PROVIDER: Final = "openai"
"""The conventions name an API by who made it; `server.address` tells whose server it was."""


@contextmanager
def chat_span(settings: ModelSettings, server: URL, endpoint: str) -> Iterator[Span]:
    """A child of the current span. It is not made the current one: its body may be a generator's."""
    attributes: dict[str, AttributeValue] = {
        names.GEN_AI_OPERATION: "chat",
        names.GEN_AI_PROVIDER: PROVIDER,
        names.GEN_AI_REQUEST_MODEL: settings.name,
        names.GEN_AI_REQUEST_TEMPERATURE: settings.temperature,
        names.GEN_AI_REQUEST_SEED: settings.seed,
        names.GEN_AI_REQUEST_MAX_TOKENS: settings.max_tokens,
        names.SERVER_ADDRESS: server.host or "",
        names.MODEL_ENDPOINT: endpoint,
    }
    if server.port:
        attributes[names.SERVER_PORT] = server.port
    span = tracer().start_span(f"chat {settings.name}", kind=SpanKind.CLIENT, attributes=attributes)
    try:
        yield span
    except ModelFailed as error:
        span.set_attribute(names.ERROR_TYPE, error.outcome.value)
        span.set_status(Status(StatusCode.ERROR, str(error)))
        raise
    finally:
        span.end()


def trace_headers(span: Span) -> dict[str, str]:
    """What lets the model's server continue the trace."""
    headers: dict[str, str] = {}
    inject(headers, set_span_in_context(span))
    return headers


def tell_first_token(span: Span, seconds: float) -> None:
    """The model has begun, so long after it was asked."""
    span.set_attribute(names.GEN_AI_TIME_TO_FIRST_CHUNK, seconds)


def tell_finish(span: Span, finish: Finish) -> None:
    """The model has ended."""
    span.set_attributes(
        {
            names.GEN_AI_FINISH_REASONS: ["stop" if finish.ended_itself else "length"],
            names.GEN_AI_INPUT_TOKENS: finish.usage.prompt_tokens,
            names.GEN_AI_OUTPUT_TOKENS: finish.usage.completion_tokens,
        }
    )
