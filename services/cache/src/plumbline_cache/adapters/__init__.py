"""The ports on real things, and their fake."""
