"""PostgreSQL from a wheel, started under the worker's home and shared by all its users.

The data folder is `home/postgres/<version>`, one folder per version: a folder of 16 is never opened by 18, so there is
nothing to upgrade. The server listens on a unix socket in a folder that only its owner may enter, never on TCP.

**As root.** PostgreSQL refuses to run as root, so the server and its data folder belong to an unprivileged account: the
owner of an existing data folder, else `agno-worker`, which is created where possible, else `postgres` or `nobody`. No
permission of any folder above the data folder is ever changed. If that account cannot reach `home` (it lies below a
0700 folder such as root's own home), the data goes to a folder of its own under `/var/lib/agno-worker`, and
`home/postgres/<version>` is a symbolic link to it: the link moves with the home, and deleting the home leaves the data
behind rather than the other way round. If the account cannot reach the wheel's programs, a copy of them is stored there
too, one per version of the wheel. Neither happens to a normal user.
"""

from worker.engine.embedded.binaries import available
from worker.engine.embedded.errors import EmbeddedFailed, EmbeddedUnavailable
from worker.engine.embedded.handle import Embedded

__all__ = ["Embedded", "EmbeddedFailed", "EmbeddedUnavailable", "available"]
