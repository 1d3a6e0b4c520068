"""The long-running worker: it consumes the event streams, runs the handlers, saves what came of it."""

from worker.supervisor.supervisor import Supervisor

__all__ = ["Supervisor"]
