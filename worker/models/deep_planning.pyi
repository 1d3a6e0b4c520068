from worker.words.tasks import DeepPlanning as DeepPlanning
