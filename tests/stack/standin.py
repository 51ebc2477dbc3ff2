"""A small server for tests of the supervisor: ``standin.py MODE PORT`` does what MODE says."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time


def serve(port: int) -> None:
    """Answer every connection with this process's id."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        door.listen()
        print(json.dumps({"severity": "INFO", "message": "a log line is no announcement"}), flush=True)
        print(json.dumps({"address": f"127.0.0.1:{port}"}), flush=True)
        while True:
            with contextlib.suppress(OSError), door.accept()[0] as connection:
                connection.sendall(str(os.getpid()).encode())


def main() -> None:
    """Do as told."""
    mode, port = sys.argv[1], int(sys.argv[2])
    if mode == "parent":  # what it starts leaves its session, as a job might
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if mode == "bad":
        print("loading the model of everything", flush=True)
        sys.exit("cannot read the table of contents")
    if mode == "silent":
        time.sleep(600)
    if mode == "task":
        print("all created")
        return
    serve(port)


if __name__ == "__main__":
    main()
