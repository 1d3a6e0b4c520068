from worker.decorators import on_shutdown as on_shutdown
