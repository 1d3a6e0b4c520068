"""Names of models and embedders from outside: they may identify a model, but never an address."""

import re

_ADDRESS = re.compile(r"://|[\s\x00-\x1f\x7f]")


def is_address(name: str) -> bool:
    """Return whether the name of a model contains an address, or characters that no name has.

    Some clients accept an address as a model's name and send their key there (``huggingface:https://…``).
    """
    return _ADDRESS.search(name) is not None
