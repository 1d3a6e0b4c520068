"""``worker dev``: engine, server and worker in one process, whose handlers are reloaded when they are saved."""
