"""Limits shared by every part of the product, each defined once."""

FILE_BYTES = 50 * 1024 * 1024
"""The largest file that a platform stores, hence also the largest result and journal row; the public protocol has the
same limit."""
