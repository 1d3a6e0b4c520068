"""The vocabulary of the framework: records, statuses, events, errors and the rules about them. No I/O."""
