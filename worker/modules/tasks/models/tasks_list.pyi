from worker.face.tasks import TasksListItem as TasksListItem
