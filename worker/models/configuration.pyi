from worker.face.configuration import Configuration as Configuration
