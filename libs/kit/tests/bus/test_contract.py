"""What every bus promises, on the memory bus and on a real broker."""

import asyncio
from collections import defaultdict
from dataclasses import replace

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from opentelemetry import trace

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_kit.bus import Subscription, TooManyInvalid
from plumbline_kit.errors import Invalid, Unavailable
from plumbline_kit.telemetry import tracer
from plumbline_kit.testing import eventually

pytestmark = pytest.mark.parametrize("servers", ["memory", "kafka", "kafka, alone"], indirect=True)


async def test_a_record_arrives_with_key_body_headers_and_event_id(bus, topic, start):
    position = await bus.publisher.publish(topic, "acme/1", DocumentChanged(document_id="1"), event_id="e-1")
    [record] = await start().hears(1)
    assert (record.key, record.event_id, record.position) == ("acme/1", "e-1", position)
    assert record.body == DocumentChanged(document_id="1")
    assert record.headers["ce_type"] == "plumbline.retrieval.v1.DocumentChanged"
    assert record.headers["ce_subject"] == "acme/1"
    assert record.headers["content-type"] == "application/protobuf"
    assert record.event_time.isoformat().replace("+00:00", "Z") == record.headers["ce_time"]


async def test_an_event_without_an_id_gets_one_that_stays_with_it(bus, topic, start):
    await bus.publisher.publish(topic, "k", DocumentChanged())
    [first] = await start(group="a").hears(1)
    [second] = await start(group="b").hears(1)
    assert first.event_id == second.event_id != ""


async def test_a_foreign_record_without_headers_is_named_by_its_place(bus, topic, start):
    position = await bus.publisher.append(topic.name, None, DocumentChanged(document_id="x").SerializeToString(), ())
    [record] = await start().hears(1)
    assert record.event_id == f"{topic.name}/{position.partition}/{position.offset}"
    assert (record.key, record.body.document_id) == ("", "x")


async def test_a_foreign_topics_body_comes_as_it_lies(bus, topic, start):
    foreign = replace(topic, message=BytesValue, foreign=True)
    heard = []

    async def hear(record):
        heard.append((record.key, record.body.value))

    await bus.publisher.append(topic.name, b'{"id": 7}', b'{"op": "c"}', ())
    start(group="foreign", subscriptions=[Subscription(foreign, hear)])
    await eventually(lambda: heard == [('{"id": 7}', b'{"op": "c"}')])


async def test_a_tombstone_has_no_body(bus, topic, start):
    await bus.publisher.publish(topic, "acme/1", None)
    [record] = await start().hears(1)
    assert (record.key, record.body) == ("acme/1", None)


async def test_keys_run_side_by_side_and_each_in_order(publish, start):
    running_now, most, order = set(), 0, defaultdict(list)

    async def handle(record):
        nonlocal most
        assert record.key not in running_now, "two records of one key at once"
        running_now.add(record.key)
        most = max(most, len(running_now))
        await asyncio.sleep(0.002)
        running_now.remove(record.key)
        order[record.key].append(record.body.new_version)

    await publish(*[f"acme/{n % 10}" for n in range(100)])
    await start(handle, concurrency=6).hears(100)
    assert 1 < most <= 6
    assert all(versions == sorted(versions) and len(versions) == 10 for versions in order.values())


async def test_only_what_was_not_finished_comes_again_and_nothing_is_lost(publish, start):
    stuck = asyncio.Event()

    async def handle(record):
        if record.key == "slow":
            await stuck.wait()

    await publish("a", "slow", "b", "c")
    first = start(handle, drain_seconds=0.1)
    await first.hears(3)
    await first.stop()
    second = start()
    await second.consumer.caught_up()
    assert "slow" in second.keys
    assert set(first.keys) | set(second.keys) == {"a", "slow", "b", "c"}


async def test_what_is_finished_does_not_come_again(publish, start):
    await publish(*[f"k{n}" for n in range(20)])
    first = start()
    await first.hears(20)
    await first.stop()
    second = start()
    await second.consumer.caught_up()
    assert second.keys == []


async def test_a_redelivered_event_keeps_its_id(publish, start):
    async def fail(record):
        raise RuntimeError("bug")

    await publish("k")
    failed = start(fail)
    with pytest.raises(RuntimeError, match="bug"):
        await failed.task
    [again] = await start().hears(1)
    [other] = await start(group="other").hears(1)
    assert again.event_id == other.event_id


async def test_an_invalid_record_is_dead_lettered_with_reason_and_trace_and_the_next_goes_on(bus, topic, start, spans):
    async def handle(record):
        if record.key == "bad":
            raise Invalid("no such tenant")

    with tracer().start_as_current_span("cause") as cause:
        await bus.publisher.publish(topic, "bad", DocumentChanged(document_id="1"), event_id="e-bad")
    await bus.publisher.publish(topic, "good", DocumentChanged())
    await start(handle).hears(1)
    [letter] = await eventually(lambda: bus.raw_records(topic.dead_letters("g")))
    headers = letter.header_texts()
    assert (letter.key, letter.value) == (b"bad", DocumentChanged(document_id="1").SerializeToString())
    assert (headers["dlq_reason"], headers["dlq_group"], headers["dlq_topic"]) == ("no such tenant", "g", topic.name)
    assert headers["ce_id"] == "e-bad"
    assert {"dlq_partition", "dlq_offset", "dlq_time"} <= headers.keys()
    assert trace.format_trace_id(cause.get_span_context().trace_id) in headers["traceparent"]


async def test_a_record_that_is_not_the_topics_message_is_dead_lettered_unchanged(bus, topic, start):
    await bus.publisher.append(topic.name, b"k", b"\xff\xff", (("mine", b"\x00\xfe"),))
    running = start()
    await running.consumer.caught_up()
    [letter] = await bus.raw_records(topic.dead_letters("g"))
    assert (letter.value, dict(letter.headers)["mine"], running.heard) == (b"\xff\xff", b"\x00\xfe", [])
    assert "not a plumbline.retrieval.v1.DocumentChanged" in letter.header_texts()["dlq_reason"]


async def test_a_retryable_failure_is_tried_again_while_other_keys_go_on(publish, start):
    tries, back = 0, asyncio.Event()

    async def handle(record):
        nonlocal tries
        if record.key == "k" and not back.is_set():
            tries += 1
            raise Unavailable("index is away")

    await publish("k", "k", "other", "another")
    running = start(handle)
    await running.hears(2)
    await eventually(lambda: tries > 2)
    assert set(running.keys) == {"other", "another"}
    back.set()
    await running.hears(4)
    assert [record.body.new_version for record in running.heard if record.key == "k"] == [0, 1]


async def test_a_record_that_waits_for_its_next_try_is_not_committed(publish, start):
    async def handle(record):
        raise Unavailable("away")

    await publish("k", "k")
    first = start(handle)
    await asyncio.wait([first.task], timeout=0.5)
    await first.stop()
    assert [record.body.new_version for record in await start().hears(2)] == [0, 1]


async def test_a_bug_stops_the_consumer_and_its_record_comes_again(publish, start):
    async def handle(record):
        if record.key == "boom":
            raise KeyError("we are wrong")

    await publish("boom", "boom")
    broken = start(handle)
    with pytest.raises(KeyError, match="we are wrong"):
        await broken.task
    assert [record.body.new_version for record in await start().hears(2)] == [0, 1]


async def test_too_many_invalid_records_stop_the_consumer(bus, topic, publish, start):
    async def handle(record):
        if record.body.new_version % 4 == 0:
            raise Invalid("bad")

    await publish(*["k"] * 100)
    with pytest.raises(TooManyInvalid):
        await start(handle).task
    assert 10 <= len(await bus.raw_records(topic.dead_letters("g"))) < 25


async def test_a_few_invalid_records_do_not_stop_the_consumer(publish, start):
    async def handle(record):
        if record.body.new_version < 5:
            raise Invalid("bad")

    await publish(*["k"] * 30)
    assert len(await start(handle).hears(25)) == 25


async def test_an_empty_topic_is_caught_up_at_once(start):
    async with asyncio.timeout(5):
        await start().consumer.caught_up()


async def test_caught_up_waits_for_every_record_that_was_there(publish, start):
    async def handle(record):
        await asyncio.sleep(0.005)

    await publish(*[f"k{n}" for n in range(50)])
    running = start(handle)
    await running.consumer.caught_up()
    assert len(running.heard) == 50
    assert running.consumer.lag() == 0


async def test_caught_up_fails_when_the_consumer_stops_before(publish, start):
    async def handle(record):
        raise Unavailable("away")

    await publish("k")
    running = start(handle)
    waiting = asyncio.create_task(running.consumer.caught_up())
    await asyncio.sleep(0)
    await running.stop()
    with pytest.raises(Unavailable):
        await waiting


async def test_lag_counts_what_is_not_handled(publish, start):
    go_on = asyncio.Event()

    async def handle(record):
        await go_on.wait()

    await publish(*[f"k{n}" for n in range(12)])
    running = start(handle)
    await eventually(lambda: running.consumer.lag() == 12)
    go_on.set()
    await eventually(lambda: running.consumer.lag() == 0)


async def test_stop_lets_the_running_handler_finish_and_commits_it(publish, start):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(record):
        begun.set()
        await go_on.wait()

    await publish("k")
    first = start(handle)
    await begun.wait()
    stopping = asyncio.create_task(first.stop())
    asyncio.get_running_loop().call_later(0.3, go_on.set)
    await stopping
    assert first.keys == ["k"]
    second = start()
    await second.consumer.caught_up()
    assert second.keys == []


async def test_a_consumer_that_never_ran_stops_at_once(bus, topic):
    await bus.consumer("g", []).stop()


async def test_an_oversized_record_is_refused_before_it_is_sent(bus, topic):
    with pytest.raises(Invalid, match="too large"):
        await bus.publisher.publish(topic, "k", DocumentChanged(document_id="x" * 4_000_000))


async def test_the_process_span_is_a_child_of_the_send_span(bus, topic, start, spans):
    with tracer().start_as_current_span("ask"):
        await bus.publisher.publish(topic, "acme/1", DocumentChanged(), event_id="e-1")
    await start().hears(1)
    [process] = await eventually(lambda: [s for s in spans.get_finished_spans() if s.name == f"process {topic.name}"])
    [send] = [span for span in spans.get_finished_spans() if span.name == f"send {topic.name}"]
    [ask] = [span for span in spans.get_finished_spans() if span.name == "ask"]
    assert process.parent.span_id == send.context.span_id
    assert send.parent.span_id == ask.context.span_id
    assert process.context.trace_id == ask.context.trace_id
    assert (send.kind, process.kind) == (trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER)
    assert process.attributes["messaging.consumer.group.name"] == "g"
    assert process.attributes["messaging.message.id"] == "e-1"
    assert process.attributes["messaging.kafka.offset"] == 0
    assert process.attributes["messaging.destination.name"] == topic.name
    assert process.status.status_code is trace.StatusCode.UNSET


async def test_a_failed_try_is_an_error_span_and_the_next_try_another(publish, topic, start, spans):
    failures = iter([Unavailable("away")])

    async def handle(record):
        for failure in failures:
            raise failure

    await publish("k")
    await start(handle).hears(1)
    await eventually(lambda: len([s for s in spans.get_finished_spans() if s.name == f"process {topic.name}"]) == 2)
    first, second = [span for span in spans.get_finished_spans() if span.name == f"process {topic.name}"]
    assert (first.status.status_code, first.attributes["error.type"]) == (trace.StatusCode.ERROR, "Unavailable")
    assert second.status.status_code is trace.StatusCode.UNSET
    assert first.parent.span_id == second.parent.span_id


async def test_durations_and_lag_are_metrics(publish, topic, start, durations):
    await publish("k")
    await start(group=topic.name).hears(1)

    def found(name):
        return [point for point in durations()[name] if topic.name in dict(point.attributes).values()]

    await eventually(lambda: found("messaging.process.duration") and found("messaging.client.operation.duration"))
    await eventually(lambda: found("plumbline.consumer.lag"))
