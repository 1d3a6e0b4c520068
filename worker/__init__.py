"""The worker framework for Agno agents: write a handler, start a worker, and every task is run to its end.

The public names are in ``aliases.py``. They are loaded on first use, so importing the package loads no agno, pydantic,
psycopg or httpx.
"""

from worker import aliases as _aliases

__all__ = sorted(_aliases.WHERE)  # noqa: PLE0605 # pyright: ignore[reportUnsupportedDunderAll] # the stub file has it

_aliases.export(__name__)
_aliases.register()
