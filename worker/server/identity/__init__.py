"""Who asks, what they may reach, and what they may call their own: keys, sessions, claims, signed links."""
