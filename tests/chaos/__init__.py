"""Processes killed under load."""
