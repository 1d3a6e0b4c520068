"""One pass over a folder of Agno's tests, in a process of its own: a script that ``tests.agno_suite`` starts."""

import argparse
import functools
import os
import ssl
import sys
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).parents[2]


def main() -> NoReturn:
    """Run pytest with the recorder in it; ends with its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--history", action="store_true")
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    sys.path.insert(0, str(PROJECT))

    from tests.agno_suite.provider import Provider, lead_here

    provider = Provider(chosen.seed)
    os.environ.update(provider.environment())
    lead_here(provider.url)
    ssl.create_default_context = functools.cache(ssl.create_default_context)  # 30 ms for a client that never uses it

    import pytest

    from tests.agno_suite.plugin import BARE, Recorder

    options = {} if chosen.way == BARE else {"at": chosen.at, "with_history": chosen.history}
    recorder = Recorder(chosen.way, chosen.log, **options)
    _forget_own_tests()
    code = int(pytest.main(chosen.arguments, plugins=[recorder]))
    sys.stdout.flush()
    os._exit(code)  # whatever threads tests have left


def _forget_own_tests() -> None:
    """Agno's tests are a package ``tests``, as this one is: from here on, that name is theirs."""
    sys.path.remove(str(PROJECT))
    for name in [each for each in sys.modules if each == "tests" or each.startswith("tests.")]:
        del sys.modules[name]


if __name__ == "__main__":
    main()
