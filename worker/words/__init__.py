"""The words of the framework: records, statuses, events, errors. No I/O, no foreign service."""
