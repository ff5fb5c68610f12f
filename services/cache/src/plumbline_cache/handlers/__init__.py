"""The use cases. They read like the README; they know neither gRPC nor Kafka."""
