"""Writes answers that rest on the passages they were given."""
