"""The use cases of the front door."""

from plumbline_gateway.handlers.ask import AskQuestion
from plumbline_gateway.handlers.audit import Allowance, AuditHit
from plumbline_gateway.handlers.slots import Slots

__all__ = ["Allowance", "AskQuestion", "AuditHit", "Slots"]
