from worker.decorators import on_boot as on_boot
