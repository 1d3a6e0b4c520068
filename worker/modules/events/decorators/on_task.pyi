from worker.registry import on_task as on_task
