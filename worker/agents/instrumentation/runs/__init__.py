"""Nested runs, and runs that a handler makes without `run_agent`."""
