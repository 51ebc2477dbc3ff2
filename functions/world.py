"""What the entry points share: settings, records, models and time; everything heavier comes on first use."""

from collections.abc import Callable
from dataclasses import dataclass

from retraining.intake import Intake
from retraining.messages.hints import Hint
from retraining.ports import Warehouse
from retraining.settings import Settings

Tick = Callable[[Hint], None]


@dataclass(frozen=True)
class World:
    """One installation as an entry point sees it. ``warehouse`` builds its client when it is called."""

    settings: Settings
    intake: Intake
    warehouse: Callable[[], Warehouse]
    run_tick: Tick
    candidate_tick: Tick
    monitor_tick: Tick
