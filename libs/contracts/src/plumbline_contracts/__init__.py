"""The contracts between services: generated messages (package `plumbline`) and the topic table."""
