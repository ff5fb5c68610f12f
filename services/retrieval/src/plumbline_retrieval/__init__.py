"""Keeps the organisation's documents searchable and provably current."""
