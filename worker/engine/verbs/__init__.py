"""What clients, workers and the server ask of the engine: one module for each thing that they ask about."""
