"""A run of an agent, team or workflow: what its calls share, how it ends, and what it is given."""
