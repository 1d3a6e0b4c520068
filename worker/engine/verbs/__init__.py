"""The verbs of clients, workers and the server, one module per subject."""
