"""The JSON that clients, workers and servers exchange, defined once for both sides.

What belongs here: models of request bodies and verbs, and the conversion of records from and to JSON. ``remote`` sends
requests, ``server`` carries them out.
"""
