"""From Agno's events and values to the task's events and the journal's, and back."""
