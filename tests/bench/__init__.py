"""Benchmarks: speed and quality of the running platform, each figure beside its baseline."""
