"""Every part of the platform by name, in the order of start."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from plumbline_local.encoder import ensure_encoder
from plumbline_local.environment import service_environment
from plumbline_local.issuer import ensure_key
from plumbline_local.kafka.broker import kafka_part
from plumbline_local.layout import Layout
from plumbline_local.parts import Part, Say
from plumbline_local.postgres import postgres_part
from plumbline_local.probes import answers_http, serving

SERVICES: Final = ("retrieval", "generation", "cache", "evaluation", "gateway")
PARTS: Final = ("kafka", "postgres", "llm", "traces", *SERVICES)


def part(layout: Layout, name: str, env: Mapping[str, str], say: Say) -> Part:
    """The part *name* of *layout*, with *env* added to its environment."""
    makers: dict[str, Callable[[], Part]] = {
        "kafka": lambda: kafka_part(layout, say),
        "postgres": lambda: postgres_part(layout),
        "llm": lambda: _llm_part(layout),
        "traces": lambda: _traces_part(layout),
    }
    made = makers.get(name, lambda: _service_part(layout, name, say))()
    return replace(made, environment={**made.environment, **env})


def _llm_part(layout: Layout) -> Part:
    port = layout.ports["llm"]
    return Part(
        name="llm",
        argv=_module("plumbline_local.llm", "--port", str(port)),
        port=port,
        healthy=partial(answers_http, f"http://{layout.address('llm')}/health"),
    )


def _traces_part(layout: Layout) -> Part:
    return Part(
        name="traces",
        argv=_module("plumbline_local.traces"),
        port=layout.ports["traces"],
        healthy=partial(serving, layout.ports["traces"]),
        environment=service_environment(layout, "traces"),
        needs=("postgres",),
    )


def _service_part(layout: Layout, name: str, say: Say) -> Part:
    return Part(
        name=name,
        argv=_module(f"plumbline_{name}"),
        port=layout.ports[name],
        healthy=partial(serving, layout.ports[name]),
        environment=service_environment(layout, name),
        needs=("kafka", "postgres", "traces"),
        prepare=lambda: asyncio.to_thread(_prepare_service, layout, say),
    )


def _prepare_service(layout: Layout, say: Say) -> None:
    ensure_key(layout)
    ensure_encoder(layout, say)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)
