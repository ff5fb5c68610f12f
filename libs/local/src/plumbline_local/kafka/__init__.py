"""One Kafka broker in KRaft mode, from the jars that Maven resolves."""
