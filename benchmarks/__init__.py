"""Benchmarks: throughput of whole tasks, latency, memory of a worker. Run by ``make bench``."""
