"""Telemetry for operators: log lines, Prometheus metrics and traces, made from notices and watched operations."""
