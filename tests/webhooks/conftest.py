"""Shells for real workers."""

from tests.cli.conftest import here, shells

__all__ = ["here", "shells"]
