"""``worker serve``: the platform over HTTP."""

from typing import Annotated

import typer

from worker.cli.platform import read_settings


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on. Default: all addresses if PORT or a key is set, otherwise loopback."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. Default: PORT.")] = None,
) -> None:
    """Serve the platform over HTTP, until SIGTERM or Ctrl-C."""
    settings = read_settings(port=port)
    try:
        from worker.dashboard.app import create_pages
        from worker.server.main import serve as run_server
    except ModuleNotFoundError as error:
        from worker.words.errors import ConfigurationError

        raise ConfigurationError(f"{error.name} is not installed: pip install 'agno-worker[server]'") from None
    from worker.telemetry import logs

    logs.configure(settings)
    raise typer.Exit(run_server(settings, host=host, pages=create_pages))
