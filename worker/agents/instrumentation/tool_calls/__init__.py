"""Tool calls: answered from the journal or made, refused, shortened or paused; and the connections of tools."""
