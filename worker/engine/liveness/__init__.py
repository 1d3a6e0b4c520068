"""Who is alive, and who hears of what: leases, dead workers, wake-ups within a process and between processes."""
