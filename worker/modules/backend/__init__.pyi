from worker.face.backend import Backend as Backend
from worker.face.listening import on_auth_event as on_auth_event
