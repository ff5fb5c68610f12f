"""Two model endpoints, a generation process between them and Kafka, and what its metrics say from moment to moment."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from plumbline_kit.addresses import HOST
from plumbline_kit.release import load_release
from plumbline_kit.rpc import open_channel
from plumbline_kit.telemetry import names
from plumbline_kit.testing.llm import FakeLLM
from plumbline_local.catalogue import part
from plumbline_local.issuer import mint_token
from plumbline_local.layout import Layout, free_ports
from plumbline_local.parts import quiet
from plumbline_local.probes import serving
from plumbline_local.supervisor import Supervisor

NAME = "generation-between-endpoints"
MODELS = """
[endpoints.sick]
base_url = "{sick}"
model = "fake"
concurrency = 8
first_token_seconds = 0.4

[endpoints.well]
base_url = "{well}"
model = "fake"
concurrency = 8

[route]
order = [{{ endpoint = "sick" }}, {{ endpoint = "well" }}]

[breaker]
window_seconds = 5
minimum_calls = 5
failure_share = 0.2
open_seconds = 0.5
"""
ASKED = re.compile(r"Question: How much does the Lodestar (\d+) lamp ")


def fact(number: int) -> str:
    """What the passage of question *number* says, and a model answers."""
    return f"The Lodestar {number} lamp costs {40 + number} euros."


def told(messages: Sequence[Any]) -> str:
    """The fact that answers a prompt."""
    found = ASKED.search(messages[-1]["content"])
    return fact(int(found[1])) if found else "I do not know."


@dataclass
class Told(MetricsServiceServicer):
    """Takes the metrics that a process exports, and keeps what matters here."""

    states: dict[str, list[int]] = field(default_factory=lambda: {"sick": [], "well": []})
    """Of each endpoint's breaker, at every export: 0 closed, 1 half-open, 2 open."""
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)
    """By endpoint and outcome."""

    async def Export(self, request: Any, context: object) -> Any:  # noqa: N802  # the contract's name
        """Take one export."""
        scopes = (scope for resource in request.resource_metrics for scope in resource.scope_metrics)
        for metric in (metric for scope in scopes for metric in scope.metrics):
            for point in (*metric.gauge.data_points, *metric.sum.data_points):
                self._take(metric.name, {one.key: one.value.string_value for one in point.attributes}, point)
        return metrics_pb.ExportMetricsServiceResponse()

    def _take(self, metric: str, attributes: dict[str, str], point: Any) -> None:
        if metric == names.BREAKER_STATE:
            self.states[attributes[names.MODEL_ENDPOINT]].append(point.as_int)
        elif metric == names.MODEL_ATTEMPTS:
            key = attributes[names.MODEL_ENDPOINT], attributes[names.MODEL_ATTEMPT_OUTCOME]
            self.attempts[key] = point.as_int


@dataclass
class Between:
    """The running process and what surrounds it."""

    sick: FakeLLM
    well: FakeLLM
    stub: GenerationServiceStub
    metrics: Told
    release: common_pb.ReleaseRef

    async def ask(self, number: int, answer_id: str) -> tuple[str, pb.AnswerCompleted]:
        """The text that was streamed for question *number*, and the last message."""
        passage = common_pb.Passage(
            ref=common_pb.PassageRef(document_id=f"lamp-{number}", version=1, passage_hash=f"{number:064x}"),
            title=f"Lodestar {number} lamp",
            text=fact(number),
            end_offset=len(fact(number)),
            score=1.0,
        )
        request = pb.GenerateAnswerRequest(
            answer_id=answer_id,
            question=f"How much does the Lodestar {number} lamp cost?",
            passages=[passage],
            release=self.release,
        )
        *pieces, last = [message async for message in self.stub.GenerateAnswer(request, timeout=10)]
        return "".join(piece.text_delta for piece in pieces), last.completed


@asynccontextmanager
async def between(layout: Layout, supervisor: Supervisor, folder: Path) -> AsyncIterator[Between]:
    """Start the endpoints and the process; stop them at the end. Kafka must run."""
    metrics, receiver = Told(), grpc.aio.server()
    add_MetricsServiceServicer_to_server(metrics, receiver)
    metrics_port = receiver.add_insecure_port(f"{HOST}:0")
    await receiver.start()
    models, port = folder / "models.toml", free_ports(NAME)[NAME]
    async with FakeLLM(script=told) as well, FakeLLM(script=told, port=free_ports("sick")["sick"]) as sick:
        models.write_text(MODELS.format(sick=sick.base_url, well=well.base_url), encoding="utf-8")
        environment = {
            "PORT": str(port),
            "MODELS_FILE": str(models),
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{HOST}:{metrics_port}",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
        }
        made = part(layout, "generation", environment, quiet)
        await supervisor.run([replace(made, name=NAME, port=port, healthy=partial(serving, port), needs=())])
        release = load_release(layout.release_file)
        ref = common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id)
        async with open_channel(f"{HOST}:{port}", token=mint_token(layout, tenant="acme")) as channel:
            yield Between(sick, well, GenerationServiceStub(channel), metrics, ref)
        await supervisor.stop([NAME])
    await receiver.stop(0)
