"""How much a request may be: of bytes, headers, connections and JSON; and what an error looks like."""
