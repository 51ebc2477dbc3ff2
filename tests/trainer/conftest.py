"""Models that several tests look at, each trained once."""

import pytest

from tests.trainer import jobs


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> jobs.Trained:
    """A trained model of a binary label."""
    return jobs.train(tmp_path_factory.mktemp("binary"), "binary", "--data-digest=rows-1")


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> jobs.Trained:
    """A trained model of three classes."""
    return jobs.train(tmp_path_factory.mktemp("multiclass"), "multiclass")


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> jobs.Trained:
    """A trained model of a number."""
    return jobs.train(tmp_path_factory.mktemp("regression"), "regression")
