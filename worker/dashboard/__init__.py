"""Web pages for people, on top of the same service as the API and the command line."""
