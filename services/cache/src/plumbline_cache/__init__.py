"""Answers repeated questions from memory, while their sources are unchanged."""
