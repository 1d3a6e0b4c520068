"""The API of user code: tasks, agents and the backend as active records, and their access to a platform."""
