from worker.registry import on_boot as on_boot
