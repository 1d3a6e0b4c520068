"""The platform over HTTP: xpander's cloud, our own server, or any other that speaks the same protocol."""
