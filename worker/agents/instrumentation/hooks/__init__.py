"""What is put at the places in Agno that every call, run and session passes; ``table.py`` lists the places."""
