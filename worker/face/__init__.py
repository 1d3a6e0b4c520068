"""What user code holds: tasks, agents and the backend as active records, and the way across to their platform."""
