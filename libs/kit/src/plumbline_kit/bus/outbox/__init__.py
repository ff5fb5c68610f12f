"""Outbox and inbox on PostgreSQL: what a transaction announces, and what it has already heard."""

from plumbline_kit.bus.outbox.adding import Outbox
from plumbline_kit.bus.outbox.inbox import Inbox
from plumbline_kit.bus.outbox.relay import OutboxRelay
from plumbline_kit.bus.outbox.schema import SCHEMA

__all__ = ["SCHEMA", "Inbox", "Outbox", "OutboxRelay"]
