"""BigQuery on this machine: local-bigquery, made to start without a network.

As installed it fetches DuckDB's extensions when it first starts. Here they come from their wheels, into a home of
their own inside the environment, so that nothing is fetched and the user's ``~/.duckdb`` stays as it is.

``python -m local.bigquery --port 0 --data-dir DIR --project P`` prints one JSON line when it serves.
"""

import argparse
import fcntl
import json
import os
import sys
from pathlib import Path
from socket import socket

EXTENSIONS = ("icu", "ducklake", "httpfs")
HOST = "127.0.0.1"


def place_extensions(home: Path) -> None:
    """Copy DuckDB's extensions from their wheels to where a DuckDB whose HOME is ``home`` looks for them."""
    import duckdb
    import duckdb_extensions  # type: ignore[import-untyped]

    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        stamp = home / f"placed-{duckdb.__version__}"
        if stamp.exists():
            return
        connection = duckdb.connect(config={"home_directory": str(home)})
        for name in EXTENSIONS:
            duckdb_extensions.import_extension(name, force_install=True, con=connection)
        connection.close()
        stamp.touch()


def writable_home(data_dir: Path) -> Path:
    """The environment's own folder, or one beside the tables where the environment may not be written."""
    home = Path(sys.prefix) / "duckdb"
    return home if os.access(home if home.exists() else sys.prefix, os.W_OK) else data_dir / "duckdb-home"


def serve(*, port: int, grpc_port: int, data_dir: Path, project: str, storage_host: str) -> None:
    """Serve until SIGTERM or SIGINT: tables in ``data_dir``, ``gs://`` at ``storage_host``."""
    home = writable_home(data_dir)
    place_extensions(home)
    os.environ["HOME"] = str(home)  # where DuckDB looks for extensions; read when it connects

    import uvicorn
    from local_bigquery import app
    from local_bigquery.engine import database
    from local_bigquery.grpc import server as storage_api
    from local_bigquery.settings import settings

    settings.data_dir = data_dir
    settings.default_project_id = project
    settings.default_dataset_id = "scratch"
    settings.storage_emulator_host = storage_host or None
    # Geography needs an extension of 80 MB that nothing here uses.
    database.FUNCTIONS = [path for path in database.FUNCTIONS if path.name != "geography.sql"]
    database.connection()  # seconds of work: before anybody is told that we serve
    door, bound = storage_api.start(HOST, grpc_port)
    if not bound:
        raise OSError(f"port {grpc_port} on {HOST} is in use")

    class Announcing(uvicorn.Server):
        """A server that says where it listens once it does."""

        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            rest = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"rest": f"http://{HOST}:{rest}", "grpc": f"{HOST}:{bound}"}), flush=True)

    config = uvicorn.Config(
        app, host=HOST, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    try:
        Announcing(config).run()
    except KeyboardInterrupt:
        pass  # uvicorn has stopped in order and raises the signal again
    finally:
        door.stop(None)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.bigquery", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--storage-host", default="", help="address of the local Cloud Storage, http://host:port")
    options = parser.parse_args()
    serve(
        port=options.port,
        grpc_port=options.grpc_port,
        data_dir=options.data_dir.resolve(),
        project=options.project,
        storage_host=options.storage_host,
    )


if __name__ == "__main__":
    main()
