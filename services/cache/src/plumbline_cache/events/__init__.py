"""Kafka in and out."""

from plumbline_cache.events.additions import AdditionReader
from plumbline_cache.events.audits import AUDITORS, AuditEvents, AuditRequests
from plumbline_cache.events.entries import BusAnnouncer, CacheEvents, group_of
from plumbline_cache.events.history import LoggedEvaluations
from plumbline_cache.events.withdrawals import BusWithdrawals, WithdrawalEvents

__all__ = [
    "AUDITORS",
    "AdditionReader",
    "AuditEvents",
    "AuditRequests",
    "BusAnnouncer",
    "BusWithdrawals",
    "CacheEvents",
    "LoggedEvaluations",
    "WithdrawalEvents",
    "group_of",
]
