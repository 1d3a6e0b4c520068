"""Limits on requests (bytes, headers, connections, JSON), and the format of error responses."""
