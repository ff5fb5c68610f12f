"""Flows through the whole platform."""
