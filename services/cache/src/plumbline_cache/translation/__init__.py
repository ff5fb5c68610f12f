"""Domain to contract messages."""
