"""Turns a worker pool of a job into a local command with the environment that Vertex AI promises."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.servers.rpc import invalid
from local.servers.vertex.images import CannotRun, Images
from local.servers.vertex.packages import unpack
from local.servers.vertex.rules import gcs_uri, last, missing_field, split_parent

_CLUSTER = {
    "cluster": {"workerpool0": ["127.0.0.1:2222"]},
    "environment": "cloud",
    "task": {"type": "workerpool0", "index": 0},
}


@dataclass(frozen=True)
class Task:
    """What a process of a job is told beside its container's own settings."""

    job: str  # resource name
    output: str  # base output directory, or ""
    trial: str = ""
    extra_args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def check_job_spec(spec: Any, path: str) -> None:
    """The rules for a CustomJobSpec: pools with exactly one task each, an image, a machine. Raises RpcError."""
    if not spec.worker_pool_specs:
        raise missing_field(f"{path}.worker_pool_specs")
    for number, pool in enumerate(spec.worker_pool_specs):
        _check_pool(pool, f"{path}.worker_pool_specs[{number}]", number == 0)
    if spec.base_output_directory.output_uri_prefix:
        gcs_uri(spec.base_output_directory.output_uri_prefix, f"{path}.base_output_directory.output_uri_prefix")


def _check_pool(pool: Any, path: str, chief: bool) -> None:
    kind = pool.WhichOneof("task")
    if kind is None:
        if not chief and not pool.ByteSize():
            return  # The client keeps a pool's place with an empty message.
        raise missing_field(f"{path}.container_spec or python_package_spec")
    if not pool.machine_spec.machine_type:
        raise missing_field(f"{path}.machine_spec.machine_type")
    if chief and pool.replica_count != 1:
        raise invalid(f"{path}.replica_count: expected 1 for the first worker pool, got {pool.replica_count}.")
    if kind == "container_spec" and not pool.container_spec.image_uri:
        raise missing_field(f"{path}.container_spec.image_uri")
    if kind == "python_package_spec":
        for name in ("executor_image_uri", "package_uris", "python_module"):
            if not getattr(pool.python_package_spec, name):
                raise missing_field(f"{path}.python_package_spec.{name}")


class Workers:
    """Prepares commands; ``folder`` is where packages are unpacked."""

    def __init__(self, images: Images, folder: Path) -> None:
        self._images = images
        self._folder = folder

    def prepare(self, spec: Any, task: Task) -> tuple[list[str], dict[str, str]]:
        """The words to run and the whole environment. Raises CannotRun."""
        pools = [pool for pool in spec.worker_pool_specs if pool.WhichOneof("task")]
        if len(pools) > 1:
            raise CannotRun(f"{task.job} has {len(pools)} worker pools; one machine runs one process a job")
        pool = pools[0]
        env = dict(os.environ) | job_environment(task)
        if pool.WhichOneof("task") == "container_spec":
            image, own = pool.container_spec.image_uri, pool.container_spec
            argv = self._images.argv(image, own.command, [*own.args, *task.extra_args])
        else:
            own = pool.python_package_spec
            image = own.executor_image_uri
            argv = self._package_argv(own, task, env)
        env["PATH"] = f"{self._images.path_folder(image, self._folder / 'bin')}:{env.get('PATH', '')}"
        env.update({item.name: item.value for item in own.env})
        env.update(task.env)
        return expand(argv, env), env

    def _package_argv(self, package: Any, task: Task, env: dict[str, str]) -> list[str]:
        interpreter = self._images.command(package.executor_image_uri)[0]
        folder = self._folder / "packages" / "-".join(filter(None, (last(task.job), task.trial)))
        folder.mkdir(parents=True, exist_ok=True)
        paths = [str(path) for path in unpack(package.package_uris, folder)]
        env["PYTHONPATH"] = ":".join([*paths, *filter(None, [env.get("PYTHONPATH")])])
        return [interpreter, "-m", package.python_module, *package.args, *task.extra_args]


def job_environment(task: Task) -> dict[str, str]:
    """The variables of Vertex AI's training contract; directories end with a slash."""
    project, region = split_parent(task.job)
    env = {
        "CLOUD_ML_JOB_ID": last(task.job),
        "CLOUD_ML_PROJECT_ID": project,
        "CLOUD_ML_REGION": region,
        "CLUSTER_SPEC": json.dumps(_CLUSTER),
        "PYTHONUNBUFFERED": "1",
    }
    if task.trial:
        env["CLOUD_ML_TRIAL_ID"] = task.trial
    if task.output:
        base = "/".join(filter(None, (task.output.rstrip("/"), task.trial)))
        env["AIP_MODEL_DIR"] = f"{base}/model/"
        env["AIP_CHECKPOINT_DIR"] = f"{base}/checkpoints/"
        env["AIP_TENSORBOARD_LOG_DIR"] = f"{base}/logs/"
    return env


def expand(words: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Containers write ``$(NAME)`` for a variable's value and ``$$(NAME)`` for the text itself."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        return env.get(match[1], match[0])

    return [re.sub(r"\$?\$\(([A-Za-z_][A-Za-z0-9_]*)\)", value, word) for word in words]
