"""The pure rules: traffic, early stopping, parameters, images and labels, as tables of cases."""

import random
import sys
from typing import Any

import optuna
import pytest
from google.cloud import aiplatform_v1 as v1

from local.servers.rpc import RpcError
from local.servers.vertex import parameters, rules, traffic
from local.servers.vertex.images import CannotRun, Images
from local.servers.vertex.stopping import Point, below_median
from local.servers.vertex.workers import expand


def spec(**fields: Any) -> Any:
    """A ParameterSpec named x."""
    return v1.StudySpec.ParameterSpec.pb()(parameter_id="x", **fields)


class TestTraffic:
    def test_zero_becomes_the_new_id(self) -> None:
        assert traffic.after_deploy({"1": 100}, {"1": 95, "0": 5}, {"1"}, "2") == {"1": 95, "2": 5}

    def test_the_new_id_itself_is_no_key(self) -> None:
        with pytest.raises(RpcError, match=r"\['2'\] do not exist"):
            traffic.after_deploy({"1": 100}, {"1": 95, "2": 5}, {"1"}, "2")

    def test_an_unwanted_split_stays(self) -> None:
        assert traffic.after_deploy({"1": 100}, {}, {"1"}, "2") == {"1": 100}

    def test_a_negative_share_is_refused(self) -> None:
        with pytest.raises(RpcError, match="sum to 100"):
            traffic.check({"1": 110, "2": -10}, {"1", "2"})

    def test_a_share_of_zero_leaves_with_its_model(self) -> None:
        assert traffic.after_undeploy({"1": 100, "2": 0}, {}, {"1", "2"}, "2") == {"1": 100}

    def test_the_wanted_split_may_not_name_what_leaves(self) -> None:
        with pytest.raises(RpcError, match="do not exist"):
            traffic.after_undeploy({"1": 100}, {"2": 100}, {"1", "2"}, "2")


class TestStopping:
    FINISHED = ([Point(1, 1.0), Point(2, 3.0)], [Point(1, 2.0), Point(2, 2.0)])

    @pytest.mark.parametrize(
        ("value", "stops"),
        [(2.1, True), (2.0, False), (0.5, False)],
        ids=["worse", "equal", "better"],
    )
    def test_the_best_value_is_held_against_the_median_of_averages(self, value: float, stops: bool) -> None:
        assert below_median([Point(1, 9.0), Point(2, value)], self.FINISHED, minimize=True) is stops

    def test_only_what_came_before_counts(self) -> None:
        assert below_median([Point(1, 1.6)], self.FINISHED, minimize=True)

    def test_a_maximum_is_stopped_from_below(self) -> None:
        assert below_median([Point(2, 1.9)], self.FINISHED, minimize=False)

    def test_one_finished_trial_stops_nobody(self) -> None:
        assert not below_median([Point(2, 9.0)], self.FINISHED[:1], minimize=True)


class TestParameters:
    def _values(self, wanted: Any, count: int = 200) -> list[Any]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        return [parameters.suggest([wanted], study.ask())["x"] for _ in range(count)]

    def test_a_logarithmic_scale_prefers_small_values(self) -> None:
        range_ = {"min_value": 1, "max_value": 10_000}
        values = self._values(spec(double_value_spec=range_, scale_type="UNIT_LOG_SCALE"))

        assert 0.35 < sum(value < 100 for value in values) / len(values) < 0.65

    def test_a_reverse_logarithmic_scale_prefers_large_values(self) -> None:
        range_ = {"min_value": 1, "max_value": 10_000}
        values = self._values(spec(double_value_spec=range_, scale_type="UNIT_REVERSE_LOG_SCALE"))

        assert 0.35 < sum(value > 9_900 for value in values) / len(values) < 0.65
        assert all(1 <= value <= 10_000 for value in values)

    def test_discrete_values_are_doubles(self) -> None:
        assert set(self._values(spec(discrete_value_spec={"values": [8, 16, 32]}))) == {8.0, 16.0, 32.0}

    def test_a_grid_has_every_point_once(self) -> None:
        points = list(
            parameters.grid([spec(integer_value_spec={"min_value": 1, "max_value": 3})], random.Random(1))
        )

        assert sorted(point["x"] for point in points) == [1, 2, 3]

    @pytest.mark.parametrize(("value", "text"), [(64.0, "--x=64"), (0.5, "--x=0.5"), ("relu", "--x=relu")])
    def test_an_argument_has_no_needless_fraction(self, value: float | str, text: str) -> None:
        assert parameters.argument("x", value) == text


class TestImages:
    IMAGES = Images.parse(
        [
            f"acme/train={sys.executable} -m trainer",
            f"acme/*={sys.executable}",
            f"acme/train-gpu*={sys.executable} -O",
        ]
    )

    @pytest.mark.parametrize(
        ("image", "command", "args", "argv"),
        [
            ("acme/train", [], ["--a"], [sys.executable, "-m", "trainer", "--a"]),
            ("acme/train", ["python", "-m", "other"], [], [sys.executable, "-m", "other"]),
            ("acme/train", ["python3", "x.py"], ["1"], [sys.executable, "x.py", "1"]),
            ("acme/train", ["sh", "-c", "echo"], [], ["sh", "-c", "echo"]),
            ("acme/other:1", [], [], [sys.executable]),
            ("acme/train-gpu:7", [], [], [sys.executable, "-O"]),
        ],
    )
    def test_words(self, image: str, command: list[str], args: list[str], argv: list[str]) -> None:
        assert self.IMAGES.argv(image, command, args) == argv

    def test_an_unknown_image_is_named(self) -> None:
        with pytest.raises(CannotRun, match="elsewhere/train"):
            self.IMAGES.argv("elsewhere/train", [], [])

    def test_a_missing_program_is_named(self) -> None:
        with pytest.raises(CannotRun, match="no-such-program"):
            self.IMAGES.argv("acme/train", ["no-such-program"], [])

    @pytest.mark.parametrize("item", ["acme", "acme=", "=python"])
    def test_a_malformed_item_is_refused(self, item: str) -> None:
        with pytest.raises(ValueError, match="NAME=COMMAND"):
            Images.parse([item])

    def test_variables_are_expanded_as_in_containers(self) -> None:
        words = expand(["--port=$(PORT)", "$$(PORT)", "$(NONE)"], {"PORT": "80"})

        assert words == ["--port=80", "$(PORT)", "$(NONE)"]


class TestLabels:
    @pytest.mark.parametrize(("key", "value"), [("a", ""), ("a-b_1", "x" * 64), ("größe", "2-ä")])
    def test_accepted(self, key: str, value: str) -> None:
        rules.labels({key: value})

    @pytest.mark.parametrize(
        ("key", "value"), [("", "x"), ("1a", "x"), ("A", "x"), ("a", "X"), ("a", "x" * 65), ("a", "a.b")]
    )
    def test_refused(self, key: str, value: str) -> None:
        with pytest.raises(RpcError, match="Invalid label"):
            rules.labels({key: value})

    def test_64_labels_are_enough(self) -> None:
        with pytest.raises(RpcError, match="at most 64"):
            rules.labels({f"k{number}": "" for number in range(65)})
