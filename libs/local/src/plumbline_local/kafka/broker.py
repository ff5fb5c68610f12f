"""The broker as a part of the platform: its configuration, its storage, its health."""

import asyncio
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from plumbline_contracts.topics import MAX_MESSAGE_BYTES, TOPICS
from plumbline_kit.bus import create_topics
from plumbline_local.errors import LocalError
from plumbline_local.kafka.jars import ensure_jars, find_java, folder
from plumbline_local.layout import Layout
from plumbline_local.parts import Part, Say
from plumbline_local.probes import listening

MAX_PARTITIONS: Final = 8
"""Of a topic on one machine; more cost memory and files and gain nothing on a few cores."""
JVM: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)


def kafka_part(layout: Layout, say: Say) -> Part:
    """The broker of *layout*."""
    return Part(
        name="kafka",
        argv=(*_java(layout), "kafka.Kafka", str(_properties_file(layout))),
        port=layout.ports["kafka"],
        healthy=lambda: _healthy(layout),
        prepare=lambda: asyncio.to_thread(_prepare, layout, say),
        settle=lambda: asyncio.to_thread(_create_topics, layout),
        stop_seconds=30.0,
    )


def _java(layout: Layout) -> tuple[str, ...]:
    return ("java", *JVM, *LOGGING, "-cp", f"{folder(layout.cache)}/*")


def _properties_file(layout: Layout) -> Path:
    return layout.data("kafka") / "server.properties"


def _prepare(layout: Layout, say: Say) -> None:
    find_java()
    ensure_jars(layout.cache, say)
    data = layout.data("kafka")
    data.mkdir(parents=True, exist_ok=True)
    _properties_file(layout).write_text(_properties(layout), encoding="utf-8")
    if not (data / "log" / "meta.properties").exists():
        _format(layout)


def _format(layout: Layout) -> None:
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    argv = [*_java(layout), "kafka.tools.StorageTool", "format", "--ignore-formatted"]
    # one word, for an id may begin with a dash
    argv += [f"--cluster-id={cluster}", "--config", str(_properties_file(layout))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"Kafka's storage could not be made: {(done.stderr or done.stdout).strip()[-300:]}")


def _properties(layout: Layout) -> str:
    """Durability is one fsync-less replica, as Kafka's own default: acknowledged records outlive a killed broker."""
    controller = layout.address("kafka-controller")
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{layout.address('kafka')},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{layout.address('kafka')}",
        "log.dirs": str(layout.data("kafka") / "log"),
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "broker.session.timeout.ms": "3000",  # a killed broker's successor is let in only after this
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "group.consumer.session.timeout.ms": "3000",  # a killed consumer's partitions wait for its successor this long
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.heartbeat.interval.ms": "500",
        "group.consumer.min.heartbeat.interval.ms": "100",
        "log.segment.bytes": str(64 * 1024 * 1024),
        "log.index.size.max.bytes": str(1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _create_topics(layout: Layout) -> None:
    create_topics(layout.address("kafka"), TOPICS, max_partitions=MAX_PARTITIONS)


async def _healthy(layout: Layout) -> bool:
    """Metadata names the broker. The port is tried first, because librdkafka reports refused connections."""
    if not await listening(layout.ports["kafka"]):
        return False
    return await asyncio.to_thread(_knows_itself, layout.address("kafka"))


def _knows_itself(address: str) -> bool:
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=3).brokers)
    except KafkaException:
        return False
