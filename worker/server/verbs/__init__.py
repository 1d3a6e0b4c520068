"""What ``POST /work`` runs: the verbs of native workers, from JSON to the platform and back."""
