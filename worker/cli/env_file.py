"""Loading of a ``.env`` file into the environment, where model libraries look for their keys, too."""

import os
from io import StringIO
from pathlib import Path

from worker.words.errors import ConfigurationError

NAME = ".env"


def take_in() -> None:
    """Set the variables of the ``.env`` file in the current directory, unless the environment has them.

    Raises:
        ConfigurationError: The file exists and cannot be read.
    """
    if not os.path.lexists(NAME):
        return
    from dotenv import dotenv_values

    try:
        said = dotenv_values(stream=StringIO(Path(NAME).read_text("utf-8-sig")))
        for name, value in said.items():
            if value is not None:
                os.environ.setdefault(name, value)
    except (OSError, ValueError) as error:  # a folder, no permission, not UTF-8, or NUL in a value
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or contains a NUL character"
        raise ConfigurationError(f"the file {NAME} in the current directory cannot be read: {reason}") from None
