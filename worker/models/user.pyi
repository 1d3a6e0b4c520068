from worker.words.tasks import User as User
