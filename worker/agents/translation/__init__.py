"""Conversion of Agno's events and values to the task's events and the journal's values, and back."""
