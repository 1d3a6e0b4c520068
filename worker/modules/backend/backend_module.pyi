from worker.face.backend import Backend as Backend
