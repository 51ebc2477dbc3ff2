"""Endpoints deploy models as real operations, keep their traffic rules and change their etag."""

from typing import Any

import pytest
from google.api_core import exceptions
from vertexkit import MODEL_IMAGE, PARENT, Clients, deployed, finish


@pytest.fixture(scope="module")
def model(clients: Clients) -> str:
    """A model that can be deployed."""
    return str(clients.model().model)


@pytest.fixture
def live(clients: Clients, model: str) -> tuple[str, str]:
    """(endpoint, deployed model) with all traffic on it."""
    endpoint = clients.endpoint()
    return endpoint, clients.deploy(endpoint, model, {"0": 100})


def _get(clients: Clients, name: str) -> Any:
    return clients.endpoints.get_endpoint(name=name)


class TestResources:
    def test_a_list_filters_by_name_and_labels(self, both: Clients) -> None:
        name = both.endpoint(display_name="flights", labels={"team": "ops"})
        both.endpoint(display_name="flights", labels={"team": "other"})

        request = {"parent": PARENT, "filter": 'display_name="flights" AND labels.team=ops'}
        assert name in [found.name for found in both.endpoints.list_endpoints(request=request)]
        assert {found.labels["team"] for found in both.endpoints.list_endpoints(request=request)} == {"ops"}

    def test_a_chosen_id_is_the_name(self, clients: Clients) -> None:
        request = {"parent": PARENT, "endpoint": {"display_name": "e"}, "endpoint_id": "chosen-id"}
        created = finish(clients.endpoints.create_endpoint(request=request))

        assert created.name == f"{PARENT}/endpoints/chosen-id"
        with pytest.raises(exceptions.AlreadyExists):
            clients.endpoints.create_endpoint(request=request)

    def test_a_malformed_id_is_refused(self, clients: Clients) -> None:
        request = {"parent": PARENT, "endpoint": {"display_name": "e"}, "endpoint_id": "Upper"}

        with pytest.raises(exceptions.InvalidArgument, match="endpoint_id"):
            clients.endpoints.create_endpoint(request=request)

    def test_logging_names_its_table_by_default(self, clients: Clients) -> None:
        logging = {"enabled": True, "sampling_rate": 0.5}
        name = clients.endpoint(display_name="taxi", predict_request_response_logging_config=logging)

        uri = _get(clients, name).predict_request_response_logging_config.bigquery_destination.output_uri
        assert uri == f"bq://acme.logging_taxi_{name.rpartition('/')[2]}.request_response_logging"

    def test_a_sampling_rate_outside_its_range_is_refused(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="sampling_rate"):
            clients.endpoint(predict_request_response_logging_config={"enabled": True, "sampling_rate": 1.5})

    def test_an_endpoint_with_deployed_models_is_not_deleted(self, both: Clients, live: tuple[str, str]) -> None:
        with pytest.raises(exceptions.BadRequest, match="undeploy them first"):
            both.endpoints.delete_endpoint(name=live[0])

    def test_an_empty_endpoint_is_deleted(self, both: Clients) -> None:
        name = both.endpoint()
        finish(both.endpoints.delete_endpoint(name=name))

        with pytest.raises(exceptions.NotFound):
            _get(both, name)


class TestUpdate:
    def test_every_change_gives_a_new_etag(self, clients: Clients, live: tuple[str, str], model: str) -> None:
        seen = {_get(clients, live[0]).etag}
        clients.endpoints.update_endpoint(
            endpoint={"name": live[0], "description": "d"}, update_mask={"paths": ["description"]}
        )
        seen.add(_get(clients, live[0]).etag)
        second = clients.deploy(live[0], model)
        seen.add(_get(clients, live[0]).etag)
        finish(clients.endpoints.undeploy_model(endpoint=live[0], deployed_model_id=second))
        seen.add(_get(clients, live[0]).etag)

        assert len(seen) == 4

    def test_a_stale_etag_is_aborted(self, both: Clients) -> None:
        name = both.endpoint()
        update = {"name": name, "etag": _get(both, name).etag, "description": "d"}
        both.endpoints.update_endpoint(endpoint=update, update_mask={"paths": ["description"]})

        with pytest.raises(exceptions.Conflict, match="etag"):
            both.endpoints.update_endpoint(endpoint=update, update_mask={"paths": ["description"]})

    def test_without_etag_the_last_writer_wins(self, clients: Clients) -> None:
        name = clients.endpoint()
        for text in ("first", "second"):
            clients.endpoints.update_endpoint(
                endpoint={"name": name, "description": text}, update_mask={"paths": ["description"]}
            )

        assert _get(clients, name).description == "second"

    def test_only_masked_fields_change(self, both: Clients) -> None:
        name = both.endpoint(display_name="before", labels={"a": "b"})
        both.endpoints.update_endpoint(
            endpoint={"name": name, "display_name": "after", "labels": {"c": "d"}},
            update_mask={"paths": ["display_name"]},
        )

        changed = _get(both, name)
        assert (changed.display_name, dict(changed.labels)) == ("after", {"a": "b"})

    def test_a_mask_is_required(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
            clients.endpoints.update_endpoint(endpoint={"name": clients.endpoint()}, update_mask={})

    def test_deployed_models_are_not_updated(self, clients: Clients) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="deployed_models"):
            clients.endpoints.update_endpoint(
                endpoint={"name": clients.endpoint()}, update_mask={"paths": ["deployed_models"]}
            )

    @pytest.mark.parametrize("share", [99, 101])
    def test_a_split_must_sum_to_100(self, both: Clients, live: tuple[str, str], share: int) -> None:
        with pytest.raises(exceptions.BadRequest, match="sum to 100"):
            both.endpoints.update_endpoint(
                endpoint={"name": live[0], "traffic_split": {live[1]: share}},
                update_mask={"paths": ["traffic_split"]},
            )

    def test_a_split_names_only_deployed_models(self, both: Clients, live: tuple[str, str]) -> None:
        with pytest.raises(exceptions.BadRequest, match=r"\['7'\] do not exist"):
            both.endpoints.update_endpoint(
                endpoint={"name": live[0], "traffic_split": {"7": 100}}, update_mask={"paths": ["traffic_split"]}
            )

    def test_an_empty_split_stops_all_traffic(self, both: Clients, live: tuple[str, str]) -> None:
        both.endpoints.update_endpoint(endpoint={"name": live[0]}, update_mask={"paths": ["traffic_split"]})

        assert dict(_get(both, live[0]).traffic_split) == {}


class TestDeploy:
    def test_zero_means_the_model_being_deployed(self, both: Clients, model: str) -> None:
        endpoint = both.endpoint()
        first = both.deploy(endpoint, model, {"0": 100})
        second = both.deploy(endpoint, model, {first: 90, "0": 10})

        assert dict(_get(both, endpoint).traffic_split) == {first: 90, second: 10}

    def test_an_empty_split_leaves_the_split(self, clients: Clients, live: tuple[str, str], model: str) -> None:
        clients.deploy(live[0], model)

        assert dict(_get(clients, live[0]).traffic_split) == {live[1]: 100}

    def test_the_client_may_choose_the_id(self, clients: Clients, model: str) -> None:
        endpoint = clients.endpoint()

        assert clients.deploy(endpoint, model, id="42") == "42"
        with pytest.raises(exceptions.AlreadyExists, match="42"):
            clients.endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed(model, id="42"))

    @pytest.mark.parametrize("wanted", ["0", "12345678901", "abc"])
    def test_a_malformed_id_is_refused(self, clients: Clients, model: str, wanted: str) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=r"deployed_model\.id"):
            clients.endpoints.deploy_model(endpoint=clients.endpoint(), deployed_model=deployed(model, id=wanted))

    def test_an_id_is_taken_while_it_is_being_deployed(self, clients: Clients, model: str) -> None:
        endpoint = clients.endpoint()
        operation = clients.endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed(model, id="5"))

        with pytest.raises(exceptions.AlreadyExists):
            clients.endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed(model, id="5"))
        finish(operation)

    def test_a_deployed_model_keeps_the_version_it_was_deployed_with(self, clients: Clients) -> None:
        name = clients.model(version_aliases=["champion"]).model
        endpoint = clients.endpoint()
        clients.deploy(endpoint, f"{name}@champion")
        clients.model(parent_model=name, version_aliases=["default", "champion"])

        (found,) = _get(clients, endpoint).deployed_models
        assert (found.model, found.model_version_id, found.display_name) == (name, "1", "doubling")

    def test_a_model_knows_where_it_is_deployed(self, clients: Clients) -> None:
        name, endpoint = clients.model().model, clients.endpoint()
        first = clients.deploy(endpoint, name)
        refs = clients.models.get_model(name=name).deployed_models
        finish(clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=first))

        assert [(ref.endpoint, ref.deployed_model_id) for ref in refs] == [(endpoint, first)]
        assert not clients.models.get_model(name=name).deployed_models

    def test_the_operation_is_not_done_before_the_server_is_healthy(self, clients: Clients, model: str) -> None:
        operation = clients.endpoints.deploy_model(endpoint=clients.endpoint(), deployed_model=deployed(model))

        assert not operation.operation.done
        assert finish(operation).deployed_model.id

    def test_a_server_that_exits_fails_the_operation_and_leaves_the_endpoint(self, both: Clients) -> None:
        container = {"image_uri": MODEL_IMAGE, "args": ["--broken"]}
        broken, endpoint = both.model(container_spec=container).model, both.endpoint()

        with pytest.raises(exceptions.GoogleAPICallError, match="the model cannot be loaded"):
            both.deploy(endpoint, broken, {"0": 100})
        assert not _get(both, endpoint).deployed_models

    def test_a_server_that_is_never_healthy_fails_the_operation(self, clients: Clients) -> None:
        container = {"image_uri": MODEL_IMAGE, "health_route": "/h", "deployment_timeout": {"seconds": 1}}
        container["env"] = [{"name": "AIP_HEALTH_ROUTE", "value": "/elsewhere"}]
        sick = clients.model(container_spec=container).model

        with pytest.raises(exceptions.GoogleAPICallError, match="GET /h did not answer 200 within 1 s"):
            clients.deploy(clients.endpoint(), sick)

    def test_an_unknown_image_fails_the_operation_by_name(self, clients: Clients) -> None:
        unknown = clients.model(container_spec={"image_uri": "gcr.io/other/serve:1"}).model

        with pytest.raises(exceptions.GoogleAPICallError, match=r"gcr\.io/other/serve:1"):
            clients.deploy(clients.endpoint(), unknown)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"dedicated_resources": None}, "dedicated_resources"),
            ({"dedicated_resources": {"min_replica_count": 1}}, "machine_type"),
            ({"dedicated_resources": {"machine_spec": {"machine_type": "n1"}}}, "min_replica_count"),
        ],
    )
    def test_missing_resources_are_refused(
        self, clients: Clients, model: str, change: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=said):
            clients.endpoints.deploy_model(endpoint=clients.endpoint(), deployed_model=deployed(model, **change))

    def test_unknown_things_are_not_found(self, both: Clients, model: str) -> None:
        with pytest.raises(exceptions.NotFound, match="Endpoint"):
            both.endpoints.deploy_model(endpoint=f"{PARENT}/endpoints/1", deployed_model=deployed(model))
        with pytest.raises(exceptions.NotFound, match="Model"):
            both.endpoints.deploy_model(endpoint=both.endpoint(), deployed_model=deployed(f"{PARENT}/models/1"))


class TestMutate:
    def test_replicas_change(self, both: Clients, live: tuple[str, str]) -> None:
        machine = {
            "machine_spec": {"machine_type": "n1-standard-2"},
            "min_replica_count": 1,
            "max_replica_count": 3,
        }
        finish(
            both.endpoints.mutate_deployed_model(
                endpoint=live[0],
                deployed_model={"id": live[1], "dedicated_resources": machine},
                update_mask={"paths": ["dedicated_resources"]},
            )
        )

        assert _get(both, live[0]).deployed_models[0].dedicated_resources.max_replica_count == 3

    def test_the_model_does_not_change(self, clients: Clients, live: tuple[str, str]) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="'model'"):
            clients.endpoints.mutate_deployed_model(
                endpoint=live[0], deployed_model={"id": live[1]}, update_mask={"paths": ["model"]}
            )


class TestUndeploy:
    def test_a_model_with_traffic_stays(self, both: Clients, live: tuple[str, str], model: str) -> None:
        both.deploy(live[0], model)

        with pytest.raises(exceptions.BadRequest, match="100 % of the traffic"):
            both.endpoints.undeploy_model(endpoint=live[0], deployed_model_id=live[1])

    def test_the_same_request_may_take_the_traffic_away(
        self, both: Clients, live: tuple[str, str], model: str
    ) -> None:
        second = both.deploy(live[0], model)
        finish(
            both.endpoints.undeploy_model(endpoint=live[0], deployed_model_id=live[1], traffic_split={second: 100})
        )

        assert dict(_get(both, live[0]).traffic_split) == {second: 100}

    def test_a_model_without_traffic_leaves_the_split(
        self, clients: Clients, live: tuple[str, str], model: str
    ) -> None:
        second = clients.deploy(live[0], model)
        finish(clients.endpoints.undeploy_model(endpoint=live[0], deployed_model_id=second))

        found = _get(clients, live[0])
        assert [d.id for d in found.deployed_models] == [live[1]]
        assert dict(found.traffic_split) == {live[1]: 100}

    def test_the_last_model_may_leave_with_its_traffic(self, clients: Clients, live: tuple[str, str]) -> None:
        finish(clients.endpoints.undeploy_model(endpoint=live[0], deployed_model_id=live[1]))

        assert dict(_get(clients, live[0]).traffic_split) == {}

    def test_an_unknown_deployed_model_is_not_found(self, clients: Clients, live: tuple[str, str]) -> None:
        with pytest.raises(exceptions.NotFound, match="'9'"):
            clients.endpoints.undeploy_model(endpoint=live[0], deployed_model_id="9")


class TestHighLevel:
    def test_create_deploy_canary_shift_undeploy_delete(self, sdk: Any) -> None:
        first = sdk.Model.upload(display_name="one", serving_container_image_uri=MODEL_IMAGE)
        second = sdk.Model.upload(
            display_name="one", serving_container_image_uri=MODEL_IMAGE, parent_model=first.resource_name
        )
        endpoint = sdk.Endpoint.create(display_name="sdk-endpoint")
        endpoint.deploy(first, traffic_percentage=100)
        endpoint.deploy(second, traffic_percentage=10)

        assert sorted(endpoint.traffic_split.values()) == [10, 90]
        assert [found.name for found in sdk.Endpoint.list(filter='display_name="sdk-endpoint"')] == [endpoint.name]
        ids = {listed.model_version_id: listed.id for listed in endpoint.list_models()}
        endpoint.update(traffic_split={ids["2"]: 100, ids["1"]: 0})
        endpoint.undeploy(ids["1"])
        assert endpoint.traffic_split == {ids["2"]: 100}
        endpoint.delete(force=True)
        assert sdk.Endpoint.list(filter='display_name="sdk-endpoint"') == []
