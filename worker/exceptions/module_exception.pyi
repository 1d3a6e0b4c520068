from worker.words.errors import ModuleException as ModuleException
