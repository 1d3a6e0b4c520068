"""Knowledge bases on PostgreSQL: full text by BM25, vectors by pgvector, the two fused by rank.

bases      what clients ask for
storing    passages of a document, written by the task that reads it
searching  words and vectors, and what is found
languages  which language a document is in, and how its words are kept
vectors    the table that is there only where the server has pgvector
"""
