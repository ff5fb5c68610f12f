"""What an entry is, when it is fresh, when it is admitted, and when two questions are the same. No I/O here."""
