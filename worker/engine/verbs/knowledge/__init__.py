"""Knowledge bases on PostgreSQL: full text by BM25, vectors by pgvector, the two fused by rank.

bases      the verbs of clients
storing    passages of a document, written by the task that reads it
searching  search by words and by vectors
languages  the language of a document, and how its words are stored
vectors    the table that exists only if the server has pgvector
"""
