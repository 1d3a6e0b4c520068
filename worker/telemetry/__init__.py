"""What an operator sees: log lines, Prometheus figures, traces. One subscriber each to ``worker.words.notices``."""
