"""Hooks for the places in Agno that every call, run and session passes through; ``table.py`` lists the places."""
