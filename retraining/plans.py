"""What exactly a run's jobs are: image, arguments, environment, labels. Plain values from plain values."""

from dataclasses import dataclass

from retraining import names
from retraining.budget import EVALUATION_TIMEOUT
from retraining.modelspec import ModelSpec
from retraining.records import JobRef, Run
from retraining.rollouts import Serving
from retraining.settings import Settings
from retraining.views import JobPlan

SPEC_FILE = "spec.json"  # the model file as the run's jobs see it


@dataclass(frozen=True)
class Planner:
    """Turns a run's next job into a JobPlan."""

    settings: Settings
    spec: ModelSpec

    def plan(self, run: Run, job: JobRef, champion: Serving | None, nonce: str) -> JobPlan:
        """The plan of one attempt; ``nonce`` is fresh for each create, so no two creates are the same job."""
        build = {"tune": self._tune, "train": self._train, "evaluate": self._evaluate}[job.kind]
        return build(run, job, champion, nonce)

    def _train(self, run: Run, job: JobRef, champion: Serving | None, nonce: str) -> JobPlan:
        del champion
        args = [*self._common(run, job, nonce), *(f"--{k}={v}" for k, v in sorted(run.parameters.items()))]
        return self._job(run, job, nonce, ("python", "-m", "trainer"), args, self._data_env(run))

    def _tune(self, run: Run, job: JobRef, champion: Serving | None, nonce: str) -> JobPlan:
        del champion
        assert self.spec.tuning is not None
        args = [
            *self._common(run, job, nonce),
            "--skip_full_eval",
            f"--num_examples={self.spec.tuning.num_examples}",
        ]
        return self._job(run, job, nonce, ("python", "-m", "trainer"), args, self._data_env(run))

    def _evaluate(self, run: Run, job: JobRef, champion: Serving | None, nonce: str) -> JobPlan:
        base = self.artifacts(run.run_id)
        args = [
            *self._identity(run, nonce),
            f"--candidate={base}/model",
            f"--candidate-digest={run.manifest_digest}",
            f"--data={names.snapshot_uri(self.settings.artifact_bucket, run.run_id)}/test-*.parquet",
            f"--output={self.evaluation_uri(run.run_id)}",
        ]
        if champion is not None:
            args += [
                f"--champion={self.artifacts(champion.run_id)}/model",
                f"--champion-digest={champion.digest}",
            ]
        return self._job(run, job, nonce, ("python", "-m", "trainer.evaluate"), args, {})

    def artifacts(self, run_id: str) -> str:
        """Folder of what a run's jobs write."""
        return names.artifact_uri(self.settings.artifact_bucket, run_id)

    def evaluation_uri(self, run_id: str) -> str:
        """Where the evaluator writes: out of the trainer's reach, so that no trainer can judge its own model."""
        return names.evaluation_uri(self.settings.artifact_bucket, run_id)

    def manifest_uri(self, run_id: str) -> str:
        """What the trainer writes last."""
        return f"{self.artifacts(run_id)}/report/manifest.json"

    def spec_uri(self, run_id: str) -> str:
        """The model file as this run's jobs see it."""
        return f"{self.artifacts(run_id)}/{SPEC_FILE}"

    def _identity(self, run: Run, nonce: str) -> list[str]:
        project, topic = self.settings.project, self.settings.ticks_topic
        return [
            *self._modules(run),
            f"--model-spec={self.spec_uri(run.run_id)}",
            f"--run-id={run.run_id}",
            f"--nonce={nonce}",
            f"--notify-topic=projects/{project}/topics/{topic}",
        ]

    def _modules(self, run: Run) -> list[str]:
        """Which code the job runs, when it is not the image's: the same for all jobs of a run."""
        if not run.modules:
            return []
        uri = names.module_set_uri(self.settings.artifact_bucket, run.modules)
        return [f"--modules={uri}", f"--modules-digest={run.modules}"]

    def _common(self, run: Run, job: JobRef, nonce: str) -> list[str]:
        args = [*self._identity(run, nonce)]
        if job.kind == "train":  # trials are many jobs by intention; the tuning job itself has no body to fence
            fence = names.fence_path(run.run_id, job.kind, job.attempt)
            args.append(f"--fence=gs://{self.settings.artifact_bucket}/{fence}")
        digest = run.snapshot.digest if run.snapshot else ""
        return [*args, f"--data-digest={digest}"]

    def _data_env(self, run: Run) -> dict[str, str]:
        data = names.snapshot_uri(self.settings.artifact_bucket, run.run_id)
        return {
            "AIP_DATA_FORMAT": "parquet",
            "AIP_TRAINING_DATA_URI": f"{data}/train-*.parquet",
            "AIP_VALIDATION_DATA_URI": f"{data}/eval-*.parquet",
            "AIP_TEST_DATA_URI": f"{data}/test-*.parquet",
        }

    def _job(
        self, run: Run, job: JobRef, nonce: str, command: tuple[str, ...], args: list[str], env: dict[str, str]
    ) -> JobPlan:
        machines = self.spec.machines
        training = self.spec.training
        machine, timeout, account = {
            "train": (machines.training, training.timeout, self.settings.trainer_account),
            "tune": (
                machines.tuning,
                self.spec.tuning.timeout if self.spec.tuning else training.timeout,
                self.settings.trainer_account,
            ),
            "evaluate": (machines.evaluation, EVALUATION_TIMEOUT, self.settings.evaluator_account),
        }[job.kind]
        tuned = {n: h.tune for n, h in training.hyperparameters.items() if h.tune}
        output = self.artifacts(run.run_id)
        return JobPlan(
            run_id=run.run_id,
            kind=job.kind,
            display_name=f"{job.kind}-{run.run_id}",
            image=self.settings.trainer_image,
            command=command,
            args=tuple(args),
            env=env,
            labels={
                "run_id": names.label(run.run_id),
                "model": names.label(run.model),
                "kind": job.kind,
                "attempt": str(job.attempt),
                "nonce": nonce,
                "spec": run.spec_digest,
            },
            output_uri=output if job.kind == "train" else f"{output}/{job.kind}",
            machine=machine,
            timeout_s=int(timeout.total_seconds()),
            account=account,
            tuning=self.spec.tuning if job.kind == "tune" else None,
            ranges=dict(tuned) if job.kind == "tune" else {},
        )
