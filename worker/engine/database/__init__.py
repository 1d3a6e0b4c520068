"""The database: connections and their settings, migrations, SQL, and the conversion and encryption of values.

Rules about tasks belong in ``state``.
"""
