"""Pages for people, over the same service that the API and the command line ask."""
