"""Take an installation away: first what costs money, then what Terraform made; data only when asked for twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from console.deploy.programs import Programs
from console.deploy.terraform import NO_IMAGE, Terraform, summary
from console.deploy.values import Values
from functions.package import build as package

KEPT = ("google_storage_bucket.this", "google_bigquery_dataset.own", "google_bigquery_table.own")


@dataclass(frozen=True)
class Destroy:
    """One removal. ``ask`` is given a question and says whether to go on; ``type_in`` gives what somebody typed."""

    programs: Programs
    values: Values
    say: Callable[[str], None]
    ask: Callable[[str], bool]
    type_in: Callable[[str], str]

    def run(self, data: bool) -> bool:
        """All of it; False when somebody said no. Raises Failed. Said again, it goes on where it ended."""
        terraform = Terraform(self.programs, self.values)
        terraform.check()
        package(self.programs.root / "build" / "functions.zip", self.programs.root)  # the plan asks for the file
        terraform.init()
        state = terraform.state()
        self._tell(state, data)
        if self.type_in(f"Type the project id ({self.values.project}) to go on") != self.values.project:
            self.say("That is another id. Nothing was removed.")
            return False
        if not self._drain():
            return False
        if kept := kept_addresses(state):
            terraform.forget(*kept)
        found = terraform.plan(f"{self.values.images}/trainer@sha256:{NO_IMAGE}", "-destroy")
        for line in summary(found):
            self.say(line)
        if found:
            if not self.ask(f"Remove these {len(found)} from {self.values.project}?"):
                self.say("Nothing was removed. retrain deploy would need the imports of docs/deploy.md.")
                return False
            terraform.apply()
        if data:
            self._data()
        return True

    def _tell(self, state: list[str], data: bool) -> None:
        kept = kept_addresses(state)
        self.say(f"Removed: {len(state) - len(kept)} resources of Terraform's state, and every deployed model.")
        self.say(f"Kept: {len(kept)} buckets, datasets and tables, which leave Terraform's state:")
        for address in kept:
            self.say(f"  {address}")
        self.say("Kept, too: models in the registry, jobs that have ended, and the bucket of Terraform's state.")
        if data:
            self.say("With --data: then the buckets and the dataset go, after another question.")

    def _drain(self) -> bool:
        """No endpoint can be removed while a model is deployed to it; False when somebody said no."""
        where = (f"--project={self.values.project}", f"--region={self.values.region}")
        found = json.loads(self.programs.read("gcloud", "ai", "endpoints", "list", *where, "--format=json") or "[]")
        ours = [one for one in found if one.get("labels", {}).get("app") == "retrain"]
        deployed = [(one, step) for one in ours for step in undeployments(one)]
        if not deployed:
            return True
        for one, (model, _) in deployed:
            self.say(f"  {one['displayName']}: {model}")
        if not self.ask(f"Undeploy these {len(deployed)} models? They answer no requests any more"):
            self.say("Nothing was removed.")
            return False
        for one, (model, split) in deployed:
            number = str(one["name"]).rpartition("/")[2]
            words = ("gcloud", "ai", "endpoints", "undeploy-model", number, f"--deployed-model-id={model}")
            self.programs.change(*words, *split, *where)
        return True

    def _data(self) -> None:
        project = self.values.project
        buckets = [f"gs://{project}-retrain-{purpose}" for purpose in ("state", "artifacts", "source")]
        self.say(
            f"For ever: {', '.join(buckets)} and the dataset {project}:retraining, with all records and models."
        )
        if self.type_in(f"Type delete {project} to delete them") != f"delete {project}":
            self.say("The data was kept.")
            return
        for bucket in buckets:
            self.programs.change("gcloud", "storage", "rm", "--recursive", bucket)
        self.programs.change("bq", f"--project_id={project}", "rm", "-r", "-f", "-d", f"{project}:retraining")


def kept_addresses(state: list[str]) -> list[str]:
    """What of a state is kept: everything that holds data."""
    return [address for address in state if address.partition("[")[0] in KEPT]


def undeployments(endpoint: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Each deployed model, those without traffic first, with the words that hand its traffic to the next."""
    split = {key: int(share) for key, share in endpoint.get("trafficSplit", {}).items()}
    order = sorted(
        (str(one["id"]) for one in endpoint.get("deployedModels", [])), key=lambda key: split.get(key, 0)
    )
    for place, model in enumerate(order):
        rest = order[place + 1 :]
        yield model, [f"--traffic-split={rest[-1]}=100"] if rest and split.get(model, 0) else []
