"""JSON between clients, workers and servers: what requests bring and answers hold, stated once for both sides.

What belongs here: models of bodies and verbs, and records read from JSON and put into it. How requests are sent
belongs in ``remote``, what is done with them in ``server``.
"""
