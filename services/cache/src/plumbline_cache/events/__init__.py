"""Kafka in and out."""

from plumbline_cache.events.audits import AUDITORS, AuditEvents, AuditRequests
from plumbline_cache.events.entries import BusAnnouncer, CacheEvents, group_of

__all__ = ["AUDITORS", "AuditEvents", "AuditRequests", "BusAnnouncer", "CacheEvents", "group_of"]
