"""The platform on one machine: Kafka, PostgreSQL, a model server, a trace store and every service."""
