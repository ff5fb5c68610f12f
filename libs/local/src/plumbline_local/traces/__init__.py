"""The trace store: an OTLP receiver that keeps spans in PostgreSQL, and a reader of what it kept."""
