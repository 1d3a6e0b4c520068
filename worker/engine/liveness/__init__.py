"""Liveness and notification: leases, dead workers, turns, and wake-ups within a process and between processes."""
