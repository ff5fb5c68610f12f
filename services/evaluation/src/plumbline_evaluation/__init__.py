"""Measures answers, and says how each measure came about."""
