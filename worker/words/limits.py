"""Limits that every part of the product keeps to, each stated once."""

FILE_BYTES = 50 * 1024 * 1024
"""The largest file that a platform stores, and so the largest result and the largest row of a journal; the public
protocol has the same limit."""
