"""The use cases of the front door."""

from plumbline_gateway.handlers.ask import AskQuestion, Slots
from plumbline_gateway.handlers.audit import Allowance, AuditHit

__all__ = ["Allowance", "AskQuestion", "AuditHit", "Slots"]
