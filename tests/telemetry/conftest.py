"""What tests of telemetry share: servers, shells, a supervisor in the test's own loop."""

from tests.cli.conftest import elsewhere, here, shells
from tests.server.conftest import client, serving, start
from tests.supervisor.conftest import handlers, no_spare_platform, notices, serve, worker_timings

__all__ = [
    "client",
    "elsewhere",
    "handlers",
    "here",
    "no_spare_platform",
    "notices",
    "serve",
    "serving",
    "shells",
    "start",
    "worker_timings",
]
