"""Create an installation, or bring it up to this checkout: what ``retrain deploy`` does, step by step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from console.deploy import image
from console.deploy.programs import Failed, Programs
from console.deploy.terraform import NO_IMAGE, Change, Terraform, summary
from console.deploy.values import Values, examples_left
from functions.package import build as package
from retraining.errors import BadConfig

ASKED = ("cloudresourcemanager.googleapis.com", "iam.googleapis.com", "serviceusage.googleapis.com")
ARCHIVE = "build/functions.zip"
STEPS = (
    "look for terraform (1.9 or newer) and gcloud",
    "read the values of the environment",
    "pack the functions into build/functions.zip",
    "find the bucket of Terraform's state, or create it with old versions kept",
    "switch on the services that Terraform itself asks, and begin with that state (terraform init)",
    "find the image of this checkout; if it is not built yet, create the registry and build it",
    "plan, show what would change, and ask",
    "apply",
    "let the doctor look at the result",
)


@dataclass(frozen=True)
class Deploy:
    """One deployment. ``ask`` is given a question and says whether to go on."""

    programs: Programs
    values: Values
    say: Callable[[str], None]
    ask: Callable[[str], bool]
    image: str = ""  # by digest, when somebody has built it already

    @property
    def terraform(self) -> Terraform:
        """Terraform for this environment."""
        return Terraform(self.programs, self.values)

    def tell(self) -> None:
        """All steps, before the first."""
        self.say(f"Environment {self.values.name}, project {self.values.project}, region {self.values.region}:")
        for number, step in enumerate(STEPS, 1):
            self.say(f"  {number}. {step}")

    def prepare(self, plan_only: bool = False) -> None:
        """Steps 1 to 5. Raises Failed, BadConfig; creates nothing but the archive when ``plan_only``."""
        self.terraform.check()
        if not self.programs.has("gcloud"):
            raise Failed("gcloud: expected it on PATH; see docs/deploy.md")
        if left := examples_left(self.values, frozenset({"trainer_image"})):
            raise BadConfig("\n".join(left))
        files = package(self.programs.root / ARCHIVE, self.programs.root)
        self.say(f"{ARCHIVE}: {len(files)} files")
        self._state_bucket(plan_only)
        if not plan_only:
            self.programs.change("gcloud", "services", "enable", *ASKED, f"--project={self.values.project}")
        self.terraform.init()

    def plan(self, plan_only: bool = False) -> list[Change]:
        """Steps 6 and 7 without the question: what would change."""
        found = self.terraform.plan(self._image(plan_only))
        for line in summary(found):
            self.say(line)
        return found

    def apply(self, found: list[Change]) -> bool:
        """Step 8; False when somebody said no."""
        if not found:
            return True
        if not self.ask(f"Apply these {len(found)} changes to {self.values.project}?"):
            self.say("Nothing was applied.")
            return False
        self.terraform.apply()
        return True

    def settings(self) -> Mapping[str, str]:
        """What the installation says of itself."""
        return self.terraform.settings()

    def _state_bucket(self, plan_only: bool) -> None:
        bucket, values = f"gs://{self.values.state_bucket}", self.values
        if self.programs.find("gcloud", "storage", "buckets", "describe", bucket, "--format=value(name)"):
            return
        create = [
            "gcloud", "storage", "buckets", "create", bucket, f"--project={values.project}",
            f"--location={values.region}", "--uniform-bucket-level-access", "--public-access-prevention",
        ]  # fmt: skip
        if plan_only:
            raise Failed(f"{bucket}: expected the bucket of Terraform's state; create it with: {' '.join(create)}")
        if not self.ask(f"Create {bucket} for Terraform's state?"):
            raise Failed(f"{bucket}: there is no plan without a bucket for Terraform's state")
        self.programs.change(*create)
        self.programs.change("gcloud", "storage", "buckets", "update", bucket, "--versioning")

    def _image(self, plan_only: bool) -> str:
        found = self.image or image.find(self.programs, self.values)
        if found:
            return found
        if plan_only:
            self.say("The image of this checkout is not built yet: planned with a digest of zeros.")
            return f"{self.values.images}/trainer@sha256:{NO_IMAGE}"
        self._room_for_the_image()
        self.say("Cloud Build builds the image; that takes about ten minutes.")
        return image.build(self.programs, self.values)

    def _room_for_the_image(self) -> None:
        """The registry and the account of builds, which everything else waits for."""
        nothing = f"{self.values.images}/trainer@sha256:{NO_IMAGE}"
        found = self.terraform.plan(nothing, *(f"-target={address}" for address in image.FIRST))
        if not found:
            return
        self.say("Before the first image can be built:")
        for line in summary(found):
            self.say(line)
        if not self.ask(f"Apply these {len(found)} changes to {self.values.project}?"):
            raise Failed("there is no image without a registry: nothing was applied")
        self.terraform.apply()
