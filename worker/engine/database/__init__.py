"""The database: connections and what is said of them, migrations, SQL, and values on their way in and out.

Rules about tasks belong in ``state``.
"""
