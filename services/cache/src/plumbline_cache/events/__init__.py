"""Kafka in and out."""

from plumbline_cache.events.audits import AuditEvents
from plumbline_cache.events.entries import BusAnnouncer, CacheEvents, group_of
from plumbline_cache.events.withdrawals import BusWithdrawals, WithdrawalEvents

__all__ = ["AuditEvents", "BusAnnouncer", "BusWithdrawals", "CacheEvents", "WithdrawalEvents", "group_of"]
