"""Finds personal data and secrets in text, whole or as it streams, and holds back what may still become one."""
