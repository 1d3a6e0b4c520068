from worker.face.task import Task as Task
from worker.face.tasks import Tasks as Tasks
