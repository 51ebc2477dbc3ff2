"""The engines behind ticks and hints, each with its own world and nobody else's clients.

The worlds differ on purpose: who trains has no endpoint here, and who deploys has no jobs. A world is built on the
first tick and kept, because clients are dear; imports are inside, because taking in a trigger must not pay for
them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from functions.following import Following
from functions.logs import log
from retraining.errors import Conflict, RetrainingError
from retraining.intake import Intake
from retraining.messages.hints import Hint
from retraining.ports import Artifacts, Warehouse
from retraining.settings import Settings

if TYPE_CHECKING:
    from gcp.bigquery import BigQuery
    from monitoring.handler import MonitorWorld
    from retraining.rollout_loop import RolloutWorld
    from retraining.state import RunWorld

report: Callable[[str], None] = partial(log, "WARNING")


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """A look that fails, for example at a newer release's record, is no reason to play the tick again."""
    try:
        yield
    except RetrainingError as error:
        report(f"{what}: {type(error).__name__}: {error}")


class Engines:
    """What ticks run, and the warehouse that a watermark tick reads. Every part is built when it is first used."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self._settings = settings
        self._intake = intake

    def run_tick(self, hint: Hint) -> None:
        """Move runs: the named one when the hint names one, and otherwise all."""
        from retraining.run_loop import reconcile, tick

        if not hint.run_id:
            try:
                tick(self._runs, report)
            finally:
                self._tell_runs()
            return
        try:
            reconcile(self._runs, hint.run_id)
        except Conflict:
            report(f"{hint.run_id}: somebody else is at it")

    def candidate_tick(self, hint: Hint) -> None:
        """Move rollouts. A hint only says that there is something to move; which, the records say."""
        from retraining.rollout_loop import tick

        del hint
        try:
            tick(self._rollouts, report)
        finally:
            self._tell_rollouts()

    def monitor_tick(self, hint: Hint) -> None:
        """Count and judge the windows of logged requests that have ended."""
        from monitoring.handler import tick

        del hint
        for line in tick(self._monitor):
            report(line)

    def _tell_runs(self) -> None:
        """What alarms watch, as a line of the log."""
        from retraining.health import runs_health

        with _reported("health of runs"):
            log("INFO", "runs", **runs_health(self._runs).fields())

    def _tell_rollouts(self) -> None:
        """The same of rollouts."""
        from retraining.health import rollouts_health

        with _reported("health of rollouts"):
            log("INFO", "rollouts", **rollouts_health(self._rollouts).fields())

    def warehouse(self) -> Warehouse:
        """The rows."""
        return self._warehouse

    @cached_property
    def _bigquery(self) -> "BigQuery":
        from gcp.bigquery import BigQuery, connect

        return BigQuery(connect(self._settings.project))

    @cached_property
    def _warehouse(self) -> Warehouse:
        from gcp.warehouse import BigQueryWarehouse

        return BigQueryWarehouse(self._bigquery, self._settings.dataset)

    @cached_property
    def _artifacts(self) -> Artifacts:
        from gcp.artifacts import GcsArtifacts
        from gcp.storage import connect

        return GcsArtifacts(connect(self._settings.project))

    @cached_property
    def _runs(self) -> "RunWorld":
        from gcp.bus import PubsubBus
        from gcp.jobs import VertexJobs
        from retraining.state import RunWorld

        return RunWorld(
            settings=self._settings,
            models=self._intake.models,
            store=self._intake.store,
            jobs=VertexJobs(self._settings),
            warehouse=self._warehouse,
            artifacts=self._artifacts,
            bus=PubsubBus(self._settings.project),
            now=self._intake.now,
            modules=self._modules,
        )

    def _modules(self) -> str:
        """Digest of the module set that the models come from; empty: of the archive."""
        models = self._intake.models
        return models.digest if isinstance(models, Following) else ""

    @cached_property
    def _monitor(self) -> "MonitorWorld":
        from gcp.bus import PubsubBus
        from gcp.drift_log import DriftStatements
        from monitoring.handler import MonitorWorld
        from monitoring.labels import LabelLog
        from monitoring.log import DriftLog

        run = DriftStatements(self._bigquery, self._settings.dataset)
        whose = self._settings.project, self._settings.dataset
        return MonitorWorld(
            settings=self._settings,
            models=self._intake.models,
            store=self._intake.store,
            log=DriftLog(run, *whose, note=lambda line: log("INFO", line)),
            labels=LabelLog(run, *whose),
            artifacts=self._artifacts,
            bus=PubsubBus(self._settings.project),
            now=self._intake.now,
        )

    @cached_property
    def _rollouts(self) -> "RolloutWorld":
        from gcp.endpoints import VertexEndpoints
        from gcp.metrics import CloudMetrics
        from gcp.operations import VertexOperations
        from gcp.registry import VertexRegistry
        from retraining.rollout_loop import RolloutWorld

        return RolloutWorld(
            settings=self._settings,
            models=self._intake.models,
            store=self._intake.store,
            endpoints=VertexEndpoints(self._settings),
            registry=VertexRegistry(self._settings),
            operations=VertexOperations(self._settings),
            warehouse=self._warehouse,
            artifacts=self._artifacts,
            now=self._intake.now,
            metrics=CloudMetrics(self._settings),
        )
