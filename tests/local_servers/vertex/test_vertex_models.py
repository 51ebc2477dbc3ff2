"""The model registry numbers versions, moves aliases and keeps what is deployed."""

from typing import Any

import pytest
from google.api_core import exceptions
from vertexkit import MODEL_IMAGE, PARENT, Clients, finish


def _aliases(clients: Clients, name: str) -> dict[str, list[str]]:
    return {m.version_id: list(m.version_aliases) for m in clients.models.list_model_versions(name=name)}


class TestVersions:
    def test_the_first_version_is_the_default(self, both: Clients) -> None:
        uploaded = both.model()

        assert uploaded.model_version_id == "1"
        assert _aliases(both, uploaded.model) == {"1": ["default"]}

    def test_versions_are_numbered(self, both: Clients) -> None:
        first = both.model()
        second = both.model(parent_model=first.model)

        assert (second.model, second.model_version_id) == (first.model, "2")

    def test_a_number_is_not_given_twice_while_a_later_version_lives(self, clients: Clients) -> None:
        name = clients.model().model
        clients.model(parent_model=name)
        clients.model(parent_model=name)
        finish(clients.models.delete_model_version(name=f"{name}@2"))

        assert clients.model(parent_model=name).model_version_id == "4"

    def test_a_later_version_takes_the_aliases_it_asks_for(self, clients: Clients) -> None:
        name = clients.model(version_aliases=["champion"]).model
        clients.model(parent_model=name, version_aliases=["champion", "default"])

        assert _aliases(clients, name) == {"1": [], "2": ["champion", "default"]}

    def test_an_alias_finds_its_version(self, both: Clients) -> None:
        name = both.model().model
        both.model(parent_model=name, version_aliases=["candidate"])

        assert both.models.get_model(name=f"{name}@candidate").version_id == "2"
        assert both.models.get_model(name=name).version_id == "1"

    def test_an_unknown_version_is_not_found(self, clients: Clients) -> None:
        with pytest.raises(exceptions.NotFound, match="@7"):
            clients.models.get_model(name=f"{clients.model().model}@7")

    def test_an_unknown_parent_is_not_found(self, clients: Clients) -> None:
        with pytest.raises(exceptions.NotFound, match="models/9"):
            clients.model(parent_model=f"{PARENT}/models/9")

    def test_a_list_shows_each_model_by_its_default_version(self, clients: Clients) -> None:
        name = clients.model(labels={"list": "once"}).model
        clients.model(parent_model=name, labels={"list": "once"}, version_aliases=["default"])

        found = list(clients.models.list_models(request={"parent": PARENT, "filter": "labels.list=once"}))
        assert [(model.name, model.version_id) for model in found] == [(name, "2")]

    def test_a_chosen_id_is_the_name(self, clients: Clients) -> None:
        container = {"image_uri": MODEL_IMAGE}
        request = {
            "parent": PARENT,
            "model_id": "chosen",
            "model": {"display_name": "m", "container_spec": container},
        }
        uploaded = finish(clients.models.upload_model(request=request))

        assert uploaded.model == f"{PARENT}/models/chosen"
        with pytest.raises(exceptions.AlreadyExists):
            clients.models.upload_model(request=request)


class TestAliases:
    def test_merging_moves_an_alias(self, both: Clients) -> None:
        name = both.model(version_aliases=["champion"]).model
        both.model(parent_model=name)
        both.models.merge_version_aliases(name=f"{name}@2", version_aliases=["champion", "default"])

        assert _aliases(both, name) == {"1": [], "2": ["champion", "default"]}

    def test_a_minus_removes_an_alias(self, clients: Clients) -> None:
        name = clients.model(version_aliases=["champion"]).model
        clients.models.merge_version_aliases(name=name, version_aliases=["-champion"])

        assert _aliases(clients, name) == {"1": ["default"]}

    @pytest.mark.parametrize("alias", ["-default", "Champion", "1", "a_b", "x"])
    def test_a_wrong_alias_is_refused(self, both: Clients, alias: str) -> None:
        with pytest.raises(exceptions.BadRequest, match="alias"):
            both.models.merge_version_aliases(name=both.model().model, version_aliases=[alias])


class TestRefusals:
    def test_artifacts_without_a_container_are_refused(self, both: Clients) -> None:
        with pytest.raises(exceptions.BadRequest, match="container_spec"):
            both.model(container_spec=None)

    def test_a_model_without_name_is_refused(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="display_name"):
            clients.model(display_name="")

    def test_the_default_version_is_not_deleted(self, clients: Clients) -> None:
        name = clients.model().model

        with pytest.raises(exceptions.FailedPrecondition, match="default"):
            clients.models.delete_model_version(name=f"{name}@1")

    def test_a_deployed_version_is_not_deleted(self, both: Clients) -> None:
        name, endpoint = both.model().model, both.endpoint()
        both.model(parent_model=name, version_aliases=["default"])
        both.deploy(endpoint, f"{name}@1", {"0": 100})

        with pytest.raises(exceptions.BadRequest, match="undeploy it first"):
            both.models.delete_model_version(name=f"{name}@1")
        with pytest.raises(exceptions.BadRequest, match="undeploy it first"):
            both.models.delete_model(name=name)

    def test_a_stale_etag_is_aborted(self, clients: Clients) -> None:
        model = clients.models.get_model(name=clients.model().model)
        update = {"name": model.name, "etag": model.etag, "description": "second"}
        clients.models.update_model(model=update, update_mask={"paths": ["description"]})

        with pytest.raises(exceptions.Aborted):
            clients.models.update_model(model=update, update_mask={"paths": ["description"]})


class TestHighLevel:
    def test_upload_and_registry(self, sdk: Any) -> None:
        first = sdk.Model.upload(display_name="sdk", serving_container_image_uri=MODEL_IMAGE)
        second = sdk.Model.upload(
            display_name="sdk",
            serving_container_image_uri=MODEL_IMAGE,
            parent_model=first.resource_name,
            is_default_version=False,
            version_aliases=["challenger"],
        )
        registry = sdk.models.ModelRegistry(first.resource_name)
        registry.add_version_aliases(["champion"], version="1")
        registry.remove_version_aliases(["challenger"], version="2")

        assert second.version_id == "2"
        assert {v.version_id: sorted(v.version_aliases) for v in registry.list_versions()} == {
            "1": ["champion", "default"],
            "2": [],
        }
        registry.delete_version("2")
        assert [version.version_id for version in registry.list_versions()] == ["1"]
        first.delete()
        with pytest.raises(exceptions.NotFound):
            sdk.Model(first.resource_name)
