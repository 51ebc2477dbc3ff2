"""What stands for the trainer's image in the soak: takes the fence, writes what the engine reads and tells of it.

It is started as the image's interpreter, with ``-m trainer`` or ``-m trainer.evaluate`` and the job's arguments. It
uses nothing but Python's own library, since hundreds are started.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HOST = os.environ["STORAGE_EMULATOR_HOST"]
JOB = os.environ["CLOUD_ML_JOB_ID"]


def create(uri: str, body: bytes, once: bool = False) -> bool:
    """Write an object; False when it is there already and may be written only once.

    In two parts, as Google's client sends it: of an upload in one part the local server ignores the precondition.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    query = {"uploadType": "multipart", "name": name} | ({"ifGenerationMatch": "0"} if once else {})
    address = f"{HOST}/upload/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}"
    parts = (json.dumps({"name": name}).encode(), body)
    content = b"".join(b"--part\r\nContent-Type: application/json\r\n\r\n%s\r\n" % part for part in parts)
    kind = {"Content-Type": "multipart/related; boundary=part"}
    request = urllib.request.Request(address, content + b"--part--\r\n", kind, method="POST")
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 412:
                return False
            raise
    return True


def read(uri: str) -> bytes:
    """An object's content."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    address = f"{HOST}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return bytes(answer.read())


def say(what: str) -> None:
    """One line in the soak's own book."""
    with Path(os.environ["SOAK_BOOK"]).open("ab", buffering=0) as book:
        book.write(f"{what}\n".encode())


def train(args: dict[str, str]) -> None:
    """Only the job that holds the fence works."""
    run_id, fence = args["run-id"], args["fence"]
    claim = json.dumps({"job_id": JOB, "nonce": args["nonce"]}).encode()
    if not create(fence, claim, once=True) and json.loads(read(fence))["job_id"] != JOB:
        say(f"surplus {fence}")
        return
    say(f"trained {fence}")
    folder = args["model-spec"].rsplit("/", 1)[0]
    create(f"{folder}/model/saved_model.pb", run_id.encode())
    manifest = {"version": 1, "run_id": run_id, "files": {}, "digest": f"m-{run_id}", "spec_digest": "s", "seed": 1}
    manifest |= {"data_digest": args["data-digest"], "code_digest": "c", "parameters": {}, "versions": {}}
    create(f"{folder}/report/manifest.json", json.dumps(manifest).encode())


def evaluate(args: dict[str, str]) -> None:
    """A candidate below its floor: the run ends without a rollout."""
    report = {
        "version": 1, "run_id": args["run-id"], "nonce": args["nonce"], "rows": 5000,
        "candidate": {"log_loss": 0.3, "auc": 0.5}, "candidate_digest": args["candidate-digest"],
    }  # fmt: skip
    create(args["output"], json.dumps(report).encode())
    say(f"evaluated {args['run-id']}")


def main() -> None:
    """Do the work that the first words name."""
    args = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[3:] if "=" in word)
    {"trainer": train, "trainer.evaluate": evaluate}[sys.argv[2]](args)


if __name__ == "__main__":
    main()
