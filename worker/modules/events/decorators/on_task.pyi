from worker.decorators import on_task as on_task
