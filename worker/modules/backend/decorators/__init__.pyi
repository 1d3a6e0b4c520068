from worker.face.listening import on_auth_event as on_auth_event
