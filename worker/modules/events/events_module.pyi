from worker.face.listening import Events as Events
