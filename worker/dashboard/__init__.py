"""Pages for people, over the same service that the API and the command line ask."""

from worker.dashboard.app import create_pages

__all__ = ["create_pages"]
