"""Model calls: answered from the journal or made, read, checked and journaled."""
