from worker.registry import on_shutdown as on_shutdown
