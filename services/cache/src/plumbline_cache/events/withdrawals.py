"""Kafka in and out: what somebody wants gone."""

from datetime import UTC
from typing import Any

from plumbline.cache.v1 import cache_events_pb2 as pb
from plumbline_cache.domain.withdrawal import Withdrawal
from plumbline_cache.handlers.withdraw import FollowWithdrawal
from plumbline_cache.translation.selections import selection_from_proto, selection_to_proto
from plumbline_contracts.topics import INVALIDATION_REQUESTED
from plumbline_kit.bus.messages import Publisher, Received, Subscription
from plumbline_kit.errors import Invalid


class WithdrawalEvents:
    """Hears of every request, whichever replica was asked."""

    def __init__(self, follow: FollowWithdrawal) -> None:
        self._follow = follow

    def subscriptions(self) -> tuple[Subscription[Any], ...]:
        """For the consumer."""
        return (Subscription(INVALIDATION_REQUESTED, self._invalidation_requested),)

    async def _invalidation_requested(self, received: Received[pb.InvalidationRequested]) -> None:
        event = received.body
        if event is None or not (event.tenant_id and event.invalidation_id and event.HasField("request_time")):
            raise Invalid("a request to invalidate needs an id, a tenant and a time")
        selection, time = selection_from_proto(event.request), event.request_time.ToDatetime(tzinfo=UTC)
        await self._follow(Withdrawal(event.invalidation_id, event.tenant_id, selection, time, event.audited))


class BusWithdrawals:
    """`WithdrawalLog` on the event log."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def append(self, withdrawal: Withdrawal) -> None:
        """See `WithdrawalLog`."""
        request = selection_to_proto(withdrawal.selection)
        fact = pb.InvalidationRequested(
            invalidation_id=withdrawal.id, tenant_id=withdrawal.tenant, request=request, audited=withdrawal.audited
        )
        fact.request_time.FromDatetime(withdrawal.time)
        await self._publisher.publish(INVALIDATION_REQUESTED, withdrawal.tenant, fact, event_id=withdrawal.id)
