from worker.face.tasks import Tasks as Tasks
