"""What the system is built from: pinned by digest, licensed, and looked up where somebody can answer."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from tools.supply import licences
from tools.supply.__main__ import sbom
from tools.supply.locks import LOCKS, ROOT, pins
from tools.supply.vulnerabilities import Finding, Waiver, exceptions, judge, read

TODAY = date(2026, 6, 1)
FINDING = Finding("jinja2", "2.4.1", ("PYSEC-2014-8", "CVE-2014-1402"), ("2.7.2",))
ALL_LOCKS = [*sorted(ROOT.glob("requirements*.txt")), ROOT / "trainer/requirements.txt"]


@pytest.mark.parametrize("lock", ALL_LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_recognised_by_a_hash(lock: Path) -> None:
    listed = pins(lock)

    assert listed
    assert [pin.name for pin in listed if not pin.hashes] == []


def test_a_requirement_that_is_not_pinned_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("# a comment\nflask>=3\n")

    with pytest.raises(ValueError, match=r"lock\.txt: expected name==version with hashes, got flask>=3"):
        pins(tmp_path / "lock.txt")


@pytest.mark.parametrize("dockerfile", sorted(ROOT.glob("trainer/Dockerfile*")), ids=lambda path: path.name)
def test_every_base_image_is_named_by_its_digest(dockerfile: Path) -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)

    assert bases
    assert [base for base in bases if not re.search(r"@sha256:[0-9a-f]{64}$", base)] == []


def test_the_image_takes_only_packages_with_known_hashes() -> None:
    installs = re.findall(r"pip install .*", (ROOT / "trainer/Dockerfile").read_text())

    assert installs
    assert all("--require-hashes" in line for line in installs)


class TestLicences:
    def test_every_package_of_the_lock_files_has_a_licence_on_the_list(self) -> None:
        assert licences.problems(pin.name for lock in LOCKS for pin in pins(lock)) == []

    @pytest.mark.parametrize(
        ("text", "may"),
        [
            ("MIT", True),
            ("Apache-2.0 OR GPL-3.0-only", True),
            ("BSD-3-Clause AND 0BSD AND MIT", True),
            ("MIT AND GPL-3.0-only", False),
            ("GPL-3.0-only", False),
            ("Proprietary", False),
            ("", False),
        ],
    )
    def test_a_licence_is_judged_as_its_expression_says(self, text: str, may: bool) -> None:
        assert licences.allowed(text) is may

    def test_what_was_read_by_hand_is_still_needed(self) -> None:
        """And names only packages that are locked."""
        assert set(licences.READ_BY_HAND) <= {pin.name for lock in LOCKS for pin in pins(lock)}


class TestVulnerabilities:
    def test_a_finding_is_a_problem_that_names_its_cure(self) -> None:
        assert judge([FINDING], [], TODAY) == ["jinja2 2.4.1: PYSEC-2014-8, fixed in 2.7.2"]

    @pytest.mark.parametrize("name", FINDING.ids)
    def test_an_exception_holds_under_any_of_its_names(self, name: str) -> None:
        assert judge([FINDING], [Waiver(name, "we use no cache", date(2026, 7, 1))], TODAY) == []

    def test_an_exception_ends(self) -> None:
        known = [Waiver("PYSEC-2014-8", "later", date(2026, 5, 31))]

        assert judge([FINDING], known, TODAY) == ["exception PYSEC-2014-8 ended on 2026-05-31"]

    def test_an_exception_that_nothing_needs_is_a_problem(self) -> None:
        known = [Waiver("CVE-1", "gone", date(2027, 1, 1))]

        assert judge([], known, TODAY) == ["exception CVE-1 is not needed"]

    @pytest.mark.parametrize(
        "text",
        [
            "- {id: CVE-1, reason: x}",
            "- {id: CVE-1, reason: '', until: 2027-01-01}",
            "- {id: C, reason: x, until: soon}",
        ],
        ids=["no end", "no reason", "no date"],
    )
    def test_an_exception_needs_reason_and_end(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "exceptions.yaml").write_text(text)

        with pytest.raises(ValueError, match="until"):
            exceptions(tmp_path / "exceptions.yaml")

    def test_the_exceptions_of_this_project_can_be_read(self) -> None:
        assert all(entry.reason for entry in exceptions())

    def test_an_answer_tells_findings_from_what_was_not_looked_up(self) -> None:
        answer = {
            "dependencies": [
                {"name": "jinja2", "version": "2.4.1", "vulns": [
                    {"id": "PYSEC-2014-8", "aliases": ["CVE-2014-1402"], "fix_versions": ["2.7.2"]}]},
                {"name": "other", "skip_reason": "not found"},
            ]
        }  # fmt: skip

        assert read(json.dumps(answer)) == ([FINDING], ["other"])


def test_the_list_of_parts_names_every_package_with_its_hash(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py")
    sbom(tmp_path)
    parts = json.loads((tmp_path / "functions.cdx.json").read_text())["components"]

    assert {(part["name"], part["version"]) for part in parts} == {
        (pin.name, pin.version) for pin in pins(LOCKS[0])
    }
    assert all(part["externalReferences"][0]["hashes"] for part in parts)
