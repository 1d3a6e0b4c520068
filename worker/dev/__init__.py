"""``worker dev``: engine, server and worker in one process, with handlers that are reloaded when they are saved."""
