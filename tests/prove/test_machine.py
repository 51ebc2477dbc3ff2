"""The state machine of any step after any other; ``python -m tests.prove.machine`` tells more of its stories."""

from tests.prove.machine import tally


def test_no_order_of_steps_breaks_a_promise() -> None:
    """Messages, ticks, faults, people and time, in a hundred stories of up to sixty steps."""
    assert tally(100, number=1_000).broken == ()
