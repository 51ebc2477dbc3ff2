"""Jobs as processes: the code of a module set runs, all of it or none, and never that of the image beside it."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gcp.modules import Modules
from gcp.storage import connect
from gcp.store import GcsStore
from retraining import names
from retraining.modules import ModuleSet
from tests.contract.vertex import fresh
from tests.delivery.sets import NOW, ROOT
from tests.trainer import jobs, samples

CODE = {
    path.relative_to(ROOT).as_posix(): path.read_bytes()
    for folder in ("trainer", "retraining")
    for path in (ROOT / folder).rglob("*.py")
}
CHANGED = CODE | {
    "trainer/fence.py": CODE["trainer/fence.py"]
    + b"\n\ndef take(uri: str, nonce: str) -> bool:\n    print('delivered code in', __file__)\n    return False\n",
    "trainer/golden.py": CODE["trainer/golden.py"] + b"\n\nprint('delivered golden in', __file__)\n",
}


class Bucket:
    """A bucket with one published set."""

    def __init__(self, gcs: str) -> None:
        client, self.name, self.gcs = connect("acme", gcs), fresh("sets"), gcs
        client.create_bucket(self.name)
        self.store = GcsStore(client, self.name)
        self.set = ModuleSet.of(CHANGED, "c1", NOW)
        Modules(self.store).publish(self.set, CHANGED, "", NOW)

    @property
    def flags(self) -> list[str]:
        """What a run's jobs are told."""
        return [
            f"--modules={names.module_set_uri(self.name, self.set.digest)}",
            f"--modules-digest={self.set.digest}",
        ]

    def run(self, module: str, *words: str, **environ: str) -> CompletedProcess[str]:
        """A job as a process, started beside the repository's own code."""
        env = {"STORAGE_EMULATOR_HOST": self.gcs, "GOOGLE_CLOUD_PROJECT": "acme", **environ}
        return jobs.run(module, *words, env=env)


@pytest.fixture(scope="module")
def bucket(gcs: str) -> Bucket:
    """One that no test changes."""
    return Bucket(gcs)


@pytest.fixture
def own(gcs: str) -> Bucket:
    """One that a test may damage."""
    return Bucket(gcs)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """The argument that names a model file."""
    return f"--model-spec={samples.write_spec(tmp_path, samples.spec('binary'))}"


def damage(bucket: Bucket, path: str, body: str) -> None:
    """Somebody wrote into the bucket."""
    stored = bucket.store.read(path)
    assert stored is not None
    bucket.store.replace(path, body, stored.version)


def file_of(bucket: Bucket, path: str) -> str:
    """Where the bucket keeps a file of the set."""
    return names.module_file_path(next(file.sha256 for file in bucket.set.files if file.path == path))


def test_the_delivered_code_trains(bucket: Bucket, spec: str, tmp_path: Path) -> None:
    """Not the code that lies in the working folder, as in the image."""
    done = bucket.run("trainer", *bucket.flags, spec, TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert f"delivered code in {tmp_path}/modules-" in done.stdout
    assert f"running module set {bucket.set.digest}" in done.stdout


def test_the_delivered_code_evaluates(bucket: Bucket, tmp_path: Path) -> None:
    """With the program's own arguments, which reach it unchanged."""
    done = bucket.run(
        "trainer.evaluate",
        *bucket.flags,
        "--model-spec=nowhere.yaml",
        "--run-id=r",
        "--candidate=c",
        "--data=d",
        "--output=o",
        TMPDIR=str(tmp_path),
    )

    assert f"delivered golden in {tmp_path}/modules-" in done.stdout
    assert "permanent: --model-spec: expected a file at nowhere.yaml" in done.stdout
    assert done.returncode == 2


def test_no_folder_is_left_behind(bucket: Bucket, spec: str, tmp_path: Path) -> None:
    """A machine that runs many jobs must not fill up."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    bucket.run("trainer", *bucket.flags, spec, TMPDIR=str(scratch))

    assert list(scratch.iterdir()) == []


def test_the_way_to_the_code_stays_for_what_was_there(bucket: Bucket, spec: str, tmp_path: Path) -> None:
    """Libraries that PYTHONPATH names are found after the set's code."""
    (tmp_path / "sitecustomize.py").write_text("print('library found')\n")
    done = bucket.run("trainer", *bucket.flags, spec, PYTHONPATH=str(tmp_path), TMPDIR=str(tmp_path))

    assert done.stdout.count("library found") == 2
    assert "delivered code in" in done.stdout


def test_without_a_set_the_code_of_the_image_runs(bucket: Bucket) -> None:
    """As before there were sets."""
    done = bucket.run("trainer", "--model-spec=nowhere.yaml")

    assert "delivered" not in done.stdout
    assert done.returncode == 2


def refused(done: CompletedProcess[str], why: str) -> None:
    """Nothing of the set ran, and the job says why in one line."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("permanent: ")]

    assert done.returncode == 2, done.stdout + done.stderr
    assert "delivered" not in done.stdout
    assert len(lines) == 1
    assert why in lines[0]


def test_a_changed_file_is_refused(own: Bucket, spec: str) -> None:
    """Before anything of the set runs."""
    path = file_of(own, "trainer/golden.py")
    damage(own, path, "print('delivered by somebody else')\n")

    refused(own.run("trainer", *own.flags, spec), "trainer/golden.py: expected a file with digest")


def test_a_missing_file_is_refused(own: Bucket, spec: str) -> None:
    """It cannot be replaced by the image's."""
    own.store.delete(file_of(own, "trainer/golden.py"))

    refused(own.run("trainer", *own.flags, spec), "trainer/golden.py: expected a file with digest")


def test_a_changed_list_is_refused(own: Bucket, spec: str) -> None:
    """Also when the new list is sound: the run knows which digest it wants."""
    other = ModuleSet.of(CODE, "c2", NOW)
    Modules(own.store).publish(other, CODE, "", NOW)
    damage(own, names.module_set_path(own.set.digest), other.to_json())

    refused(own.run("trainer", *own.flags, spec), f"expected digest {own.set.digest}")


@pytest.mark.parametrize("path", ["../../outside.py", "trainer/../../outside.py", "/tmp/outside.py"])
def test_a_list_that_leads_elsewhere_is_refused(own: Bucket, spec: str, path: str, tmp_path: Path) -> None:
    """Nothing is written outside the job's own folder."""
    body = own.set.to_json().replace("trainer/golden.py", path)
    damage(own, names.module_set_path(own.set.digest), body)

    refused(own.run("trainer", *own.flags, spec, TMPDIR=str(tmp_path)), "expected paths such as")
    assert not (tmp_path.parent / "outside.py").exists()


def test_a_missing_set_is_refused(bucket: Bucket, spec: str) -> None:
    """With its address."""
    uri = f"gs://{bucket.name}/modules/sets/none.json"
    done = bucket.run("trainer", f"--modules={uri}", f"--modules-digest={'0' * 64}", spec)

    refused(done, f"expected a module set at {uri}, found none")


@pytest.mark.parametrize("kept", [0, 1])
def test_half_of_the_arguments_is_refused(bucket: Bucket, spec: str, kept: int) -> None:
    """A set without its digest could be any set."""
    refused(bucket.run("trainer", bucket.flags[kept], spec), "expected both or none")
