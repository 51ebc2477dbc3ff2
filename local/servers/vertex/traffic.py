"""The rules of an endpoint's traffic split, as pure functions over plain dictionaries."""

from collections.abc import Collection, Mapping

from local.servers.rpc import failed_precondition, invalid

NEW = "0"
"""In DeployModel, the key that means the model being deployed."""


def check(split: Mapping[str, int], deployed: Collection[str]) -> None:
    """A split is empty, or names only deployed models and sums to 100. Raises INVALID_ARGUMENT."""
    if not split:
        return
    unknown = sorted(set(split) - set(deployed))
    if unknown:
        raise invalid(f"The following DeployedModel ID(s) {unknown} do not exist; deployed are {sorted(deployed)}.")
    if any(share < 0 for share in split.values()) or sum(split.values()) != 100:
        raise invalid(f"The traffic split must sum to 100, got {dict(split)}.")


def after_deploy(
    current: Mapping[str, int], wanted: Mapping[str, int], deployed: Collection[str], new: str
) -> dict[str, int]:
    """The split once ``new`` is deployed beside ``deployed``. An empty ``wanted`` changes nothing."""
    if not wanted:
        return dict(current)
    check(wanted, {*deployed, NEW})
    return {new if key == NEW else key: share for key, share in wanted.items()}


def after_undeploy(
    current: Mapping[str, int], wanted: Mapping[str, int], deployed: Collection[str], gone: str
) -> dict[str, int]:
    """The split once ``gone`` of ``deployed`` is undeployed. Refused while it has traffic.

    The last model of an endpoint may leave with its traffic: nobody is left to take it.
    """
    left = set(deployed) - {gone}
    if wanted:
        check(wanted, left)
        return dict(wanted)
    if left and current.get(gone):
        raise failed_precondition(
            f"DeployedModel {gone} has {current[gone]} % of the traffic: move it away first, or name the new split."
        )
    return {key: share for key, share in current.items() if key != gone} if left else {}
