from worker.face.task_lists import TasksListItem as TasksListItem
