"""Turns the bytes of a file into text with structure, in a process that may die of it."""

from plumbline_retrieval.adapters.reading.reader import read
from plumbline_retrieval.adapters.reading.sandbox import SandboxedReader

__all__ = ["SandboxedReader", "read"]
