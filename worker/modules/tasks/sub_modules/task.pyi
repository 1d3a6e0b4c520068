from worker.face.task import Task as Task
from worker.words.events import TaskUpdateEvent as TaskUpdateEvent
