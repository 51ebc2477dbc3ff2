"""The mutants by name: for each a small mistake somebody could make, and what must see it.

``old`` must be found exactly once in the file, or the list is no longer true. What must see it are tests by their
pytest ids, or a search by the name it has in ``search.MODELS`` and the number of states that it takes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    search: tuple[str, int] | None = None


LAUNCH, ROLLOUT = "a fact, told and retold", "a rollout"
CONTRACT = "tests/contract/test_endpoints.py::"
LOOP = "tests/engine/test_loop.py::"
UNIT_ROLLOUT = "tests/unit/test_rollout_machine.py"
UNIT_RUN = "tests/unit/test_run_machine.py"
PROMISES = "tests/engine/test_promises.py::"

MUTANTS = (
    Mutant(
        "no etag",
        "gcp/endpoints.py",
        "traffic_split=shares, etag=etag)",
        "traffic_split=shares)",
        (f"{CONTRACT}TestVertexEndpoints::test_traffic_does_not_move_with_a_stale_etag",),
    ),
    Mutant(
        "no etag in the engine: the newest is asked for",
        "retraining/rollout_loop.py",
        "world.endpoints.set_traffic(record.endpoint, split, endpoint.etag)",
        "world.endpoints.set_traffic(record.endpoint, split, world.endpoints.view(record.endpoint).etag)",
        (f"{PROMISES}test_traffic_that_moved_under_a_tick_is_not_overwritten",),
    ),
    Mutant(
        "endpoint read before the record",
        "retraining/rollout_loop.py",
        "    view = observe(world, spec, record)\n    _, version_again",
        "    view = observe(world, spec, record)\n    record, version = read_rollout(world.store, spec.endpoint,"
        " spec.name)\n    _, version_again",
        (f"{PROMISES}test_an_endpoint_seen_before_its_record_moves_nothing",),
    ),
    Mutant(
        "no second read of the record",
        "retraining/rollout_loop.py",
        "    if version_again != version:",
        "    if version_again is None:",
        (f"{PROMISES}test_a_record_that_moved_while_the_endpoint_was_read_moves_nothing",),
    ),
    Mutant(
        "no fence",
        "trainer/fence.py",
        'return bool(held.get("job_id") == job)',
        "return True",
        ("tests/trainer/test_cloud.py::test_fence_lets_in_one_job",),
    ),
    Mutant(
        "the fence is not looked at by the engine",
        "retraining/job_machine.py",
        "    if holder and holder.rsplit",
        "    if not holder and holder.rsplit",
        (UNIT_RUN,),
    ),
    Mutant(
        "no sweep",
        "retraining/rollout_machine.py",
        "        return Undeploy(orphan)\n",
        "        pass\n",
        ("tests/engine/test_aftermath.py",),
    ),
    Mutant(
        "the loser stays deployed",
        "retraining/rollout_machine.py",
        "if record.challenger.deployed_id in view.endpoint.deployed and not late:",
        "if late:",
        (UNIT_ROLLOUT,),
    ),
    Mutant(
        "traffic is not asserted again",
        "retraining/rollout_machine.py",
        "    if split == wanted:\n",
        "    if wanted in (split, record.intended):\n",
        (f"{PROMISES}test_a_split_whose_request_was_lost_is_set_again",),
    ),
    Mutant(
        "split in Deploy",
        "gcp/endpoints.py",
        "endpoint=name, deployed_model=deployed, traffic_split={}",
        'endpoint=name, deployed_model=deployed, traffic_split={"0": 100}',
        (f"{CONTRACT}TestVertexEndpoints::test_deploying_leaves_the_traffic_alone",),
    ),
    Mutant(
        "split in Undeploy",
        "gcp/endpoints.py",
        "deployed_model_id=deployed_id, traffic_split={}",
        "deployed_model_id=deployed_id,"
        " traffic_split={key: 100 for key in sorted(set(seen.deployed) - {deployed_id})[:1]}",
        (f"{CONTRACT}TestVertexEndpoints",),
    ),
    Mutant(
        "split in Deploy, in memory",
        "local/memory/endpoints.py",
        "replace(seen, deployed={**seen.deployed, key[1]: plan.version})",
        "replace(seen, deployed={**seen.deployed, key[1]: plan.version}, split={key[1]: 100})",
        (f"{CONTRACT}TestMemoryEndpoints",),
    ),
    Mutant(
        "split in Undeploy, in memory",
        "local/memory/endpoints.py",
        "replace(seen, deployed=kept)",
        "replace(seen, deployed=kept, split={key: 100 for key in sorted(kept)[:1]})",
        (f"{CONTRACT}TestMemoryEndpoints",),
    ),
    Mutant(
        "ack before claim",
        "retraining/collect.py",
        "        run_id = _claim(world, spec, trigger)\n        _join(world, spec, run_id, trigger)\n"
        '        world.effect("empty inbox", lambda path=path: world.store.delete(path))',
        '        world.effect("empty inbox", lambda path=path: world.store.delete(path))\n'
        "        run_id = _claim(world, spec, trigger)\n        _join(world, spec, run_id, trigger)",
        (f"{PROMISES}test_a_fact_told_once_is_answered_wherever_the_tick_dies",),
    ),
    Mutant(
        "claim, ack, then the run",
        "retraining/collect.py",
        "        _join(world, spec, run_id, trigger)\n"
        '        world.effect("empty inbox", lambda path=path: world.store.delete(path))',
        '        world.effect("empty inbox", lambda path=path: world.store.delete(path))\n'
        "        _join(world, spec, run_id, trigger)",
        (f"{PROMISES}test_a_fact_told_once_is_answered_wherever_the_tick_dies",),
    ),
    Mutant(
        "dedupe by message id only",
        "functions/entries.py",
        "found = [tidy(trigger) for trigger in parsed]",
        "found = [tidy(trigger).but(key=trigger.message_id) for trigger in parsed]",
        ("tests/functions/test_receive.py::test_the_same_fact_again_changes_nothing",),
    ),
    Mutant(
        "412 taken as lost",
        "gcp/store.py",
        "written = self._write(path, body, version) or self._own(path, body)",
        "written = self._write(path, body, version)",
        ("tests/contract/test_store.py",),
    ),
    Mutant(
        "a lease without fencing: who stalled still writes",
        "retraining/state.py",
        "return str(effect(why, lambda: store.replace(path, body, version)))",
        "return str(effect(why, lambda: store.replace(path, body, store.read(path).version)))",
        (f"{PROMISES}test_a_tick_that_stalled_writes_over_nobody",),
    ),
    Mutant(
        "a lease that is never waited for",
        "retraining/job_machine.py",
        "if not seen.own_intent and now < ref.intended + INTENT_LEASE:",
        "if now < ref.intended:",
        (UNIT_RUN,),
    ),
    Mutant(
        "the rollout ends while a deploy is in flight",
        "retraining/rollout_machine.py",
        "    if record.operation and not late and (view.operation is None or not view.operation.done):\n"
        '        return Rest("a deploy is still under way")\n',
        "",
        (UNIT_ROLLOUT,),
    ),
    Mutant(
        "nobody looks after what ended",
        "retraining/rollout_machine.py",
        "return spec.rollout.deploy_timeout + STALL",
        "return timedelta()",
        ("tests/engine/test_aftermath.py",),
    ),
    Mutant(
        "undeploy before 100",
        "retraining/rollout_machine.py",
        '        return Go(Phase.FULL, f"{look.verdict.value}: {look.reason}", {"look": look, "step": after})',
        '        return Go(Phase.CLEANUP, f"{look.verdict.value}: {look.reason}", {"look": look, "step": after})',
        (UNIT_ROLLOUT,),
    ),
    Mutant(
        "no soak",
        "retraining/rollout_machine.py",
        "    if soak is not None and view.now < record.entered + soak:",
        "    if soak is not None and view.now < record.entered:",
        search=(ROLLOUT, 30_000),
    ),
    Mutant(
        "a step without a deadline",
        "retraining/rollout_machine.py",
        "    if waited > policy.step_deadline:",
        "    if waited > 99 * policy.step_deadline:",
        (UNIT_ROLLOUT,),
    ),
    Mutant(
        "a waiting run without a deadline",
        "retraining/run_machine.py",
        "    if view.now > run.opened + WAITING_DEADLINE:",
        "    if view.now > run.opened + 99 * WAITING_DEADLINE:",
        (UNIT_RUN,),
    ),
    Mutant(
        "cooldown from the end, not from the launch",
        "retraining/run_effects.py",
        "(*state.launches, run.jobs[0].intended)",
        "(*state.launches, view.now)",
        (f"{PROMISES}test_the_cooldown_begins_with_the_launch",),
    ),
    Mutant(
        "budget settled twice",
        "retraining/run_effects.py",
        "spent = {**money.spent, run.run_id: budget.spent(spec, run)}",
        "spent = {**money.spent, run.run_id: money.spent.get(run.run_id, 0.0) + budget.spent(spec, run)}",
        (f"{PROMISES}test_money_that_is_settled_twice_is_spent_once",),
    ),
    Mutant(
        "budget not looked at",
        "retraining/policy.py",
        "if refusal is None and (text := budget.refusal(spec, situation.money, action)):",
        "if refusal == () and (text := budget.refusal(spec, situation.money, action)):",
        ("tests/unit/test_policy.py",),
    ),
    Mutant(
        "raise on a bad message",
        "functions/message.py",
        "    except BadMessage as error:\n        _refuse(world, entry, envelope, error, told)",
        "    except BadMessage:\n        raise",
        ("tests/functions/test_receive.py::test_a_bad_message_leaves_an_audit_entry",),
    ),
    Mutant(
        "no data is a pass",
        "retraining/verdict.py",
        '        return Judgement(Verdict.NO_DATA, "it has answered no request yet")',
        '        return Judgement(Verdict.NOT_WORSE, "it has answered no request yet")',
        ("tests/unit/test_verdict.py",),
    ),
    Mutant(
        "no data is enough data",
        "retraining/rollout_machine.py",
        "enough = look.challenger_rows >= policy.min_requests and waited >= policy.step_time",
        "enough = waited >= policy.step_time",
        (UNIT_ROLLOUT,),
    ),
    Mutant(
        "a surplus training is cancelled before the fence is taken",
        "retraining/job_machine.py",
        'decided = bool(seen.holder) or kind != "train"',
        "decided = True",
        (UNIT_RUN,),
    ),
    Mutant(
        "a broken feed trains",
        "retraining/run_machine.py",
        "    if found := checks.problems(spec, run.data, view.now):",
        "    if (found := checks.problems(spec, run.data, view.now)) == ():",
        (f"{LOOP}test_a_broken_feed_trains_nothing",),
    ),
    Mutant(
        "a person's split is undone",
        "retraining/rollout_machine.py",
        "    if split not in (record.confirmed, record.intended):",
        "    if split is record.confirmed:",
        (f"{LOOP}test_a_split_set_by_hand_holds_the_rollout",),
    ),
    Mutant(
        "the outcome after the record",
        "retraining/rollout_loop.py",
        '            world.effect("write outcome", lambda: world.store.create(names.outcome_path(run_id), body))',
        "            pass",
        (f"{LOOP}test_the_first_model_takes_all_traffic",),
    ),
    Mutant(
        "a job is created before it is intended",
        "retraining/job_machine.py",
        '        return JobStep(what="intend_job", kind=kind)\n    mine',
        '        return JobStep(what="create_job", kind=kind)\n    mine',
        (UNIT_RUN,),
    ),
)
