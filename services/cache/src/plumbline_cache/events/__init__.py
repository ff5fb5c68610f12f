"""Kafka in and out."""

from plumbline_cache.events.audits import AuditEvents
from plumbline_cache.events.entries import BusAnnouncer, CacheEvents, group_of

__all__ = ["AuditEvents", "BusAnnouncer", "CacheEvents", "group_of"]
