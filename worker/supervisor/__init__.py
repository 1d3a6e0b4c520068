"""The long-running worker: it claims tasks and deliveries, runs the handlers, and saves their outcomes."""

from worker.supervisor.supervisor import Supervisor

__all__ = ["Supervisor"]
