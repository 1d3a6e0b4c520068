"""The platform over HTTP: the public protocol, its event streams, and one route of our own. No SQL in here."""
