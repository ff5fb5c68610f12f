"""Who is calling, as the verified token says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The verified caller. Tenant and groups never come from anywhere else."""

    tenant: str
    subject: str
    groups: tuple[str, ...] = ()
    """Sorted, without repeats."""
    scopes: frozenset[str] = frozenset()
