"""Runs of an agent, team or workflow: their shared state, input, and outcome."""
