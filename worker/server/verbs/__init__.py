"""The verbs of native workers, carried out by ``POST /work``: JSON is parsed, run on the platform, and answered."""
