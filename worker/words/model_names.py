"""Names of models and embedders that come as data: they say which, and never where."""

import re

_ADDRESS = re.compile(r"://|[\s\x00-\x1f\x7f]")


def is_address(name: str) -> bool:
    """Whether the name of a model holds an address, or what no name holds.

    Some clients take an address for a model's name, and send their key there (``huggingface:https://…``).
    """
    return _ADDRESS.search(name) is not None
