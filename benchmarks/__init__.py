"""Figures: how fast whole tasks go, how soon one is seen, how much memory a worker takes. Run by ``make bench``."""
