"""A summary like the one a year's replay leaves: 44 weeks, 12 runs that did something, 80 triggers."""

import math
from datetime import UTC, datetime, timedelta

from console.summary import (
    ChangeLine,
    DriftWindow,
    Happening,
    IncidentLine,
    MoneyLine,
    RolloutLine,
    RunLine,
    Summary,
    TrafficStep,
    TriggerLine,
    Week,
)

START, END = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 12, 31, tzinfo=UTC)
FEATURES = ("dep_delay", "taxi_out", "distance", "air_time", "hour", "origin", "carrier", "destination")
HEAT_WEEK = 19  # the week from which taxi_out has moved
SKIPS = {
    "cooldown": "the last run ended 31 h ago; the cooldown is 72 h",
    "too_few_rows": "1,204 new labelled rows; at least 5,000 are needed",
    "already_answered": "the run flights-20130709-3c1a trained on rows up to this watermark",
}
ENDS = (
    ("schedule", "promoted"),
    ("data", "promoted"),
    ("schedule", "rejected"),
    ("data", "promoted"),
    ("data", "blocked_data"),
    ("drift", "promoted"),
    ("schedule", "rejected"),
    ("manual", "promoted"),
    ("data", "rejected"),
    ("schedule", "promoted"),
    ("manual", "rolled_back"),
    ("schedule", "promoted"),
)


def iso(moment: datetime) -> str:
    """To the second, as the records write it."""
    return moment.isoformat(timespec="seconds")


def weeks(count: int = 44) -> tuple[Week, ...]:
    """Losses that part from July; the oracle misses two weeks, ours one."""
    found = []
    for number in range(count):
        season = 0.30 + 0.03 * math.sin(number / 4)
        moved = 0.06 if number >= HEAT_WEEK else 0.0
        found.append(
            Week(
                week=(START - timedelta(days=4) + timedelta(weeks=number)).date().isoformat(),
                rows=3100 + 20 * (number % 7),
                never=round(season + moved + 0.0012 * number, 5),
                ours=None if number == 11 else round(season + (0.02 if number == HEAT_WEEK else 0.004), 5),
                calendar=round(season + (0.03 if HEAT_WEEK <= number < HEAT_WEEK + 4 else 0.006), 5),
                oracle=None if number in (30, 31) else round(season - 0.006, 5),
            )
        )
    return tuple(found)


def runs() -> tuple[RunLine, ...]:
    """Twelve runs that went past the decision, one every 25 days, and 60 that were skipped."""
    return (*(_run(number, kind, state) for number, (kind, state) in enumerate(ENDS)), *_skips())


def run_id(number: int) -> str:
    """As the installation names runs."""
    return f"flights-{START + timedelta(days=25 * number):%Y%m%dt%H%M}-{0x3C1A + 977 * number:04x}"


def _run(number: int, kind: str, state: str) -> RunLine:
    opened = START + timedelta(days=25 * number, hours=6)
    ended = opened + timedelta(hours=30)
    trained = state != "blocked_data"
    candidate = {"log_loss": 0.2874 + 0.002 * number, "brier": 0.0871, "auc": 0.9701}
    champion = {"log_loss": 0.2931 + 0.002 * number, "brier": 0.0892, "auc": 0.9688} if number else {}
    rejected = "log_loss is not better: 0.3011 against 0.2990, interval of the difference -0.0008 to 0.0049"
    reason = {
        "promoted": "the new model has served all traffic for 24 h without harm",
        "rejected": rejected,
        "blocked_data": "dep_delay: mean 754.2, ordinary 12.6 ± 3.1; a unit may have changed",
        "rolled_back": "worse on 2,114 closed labels: log_loss 0.4120 against 0.2987",
    }[state]
    return RunLine(
        run_id=run_id(number),
        opened=iso(opened),
        ended=iso(ended),
        state=state,
        action="tune" if number == 7 else "train",
        code=kind if trained else "data",
        reason=reason,
        causes=(f"{kind}: the reason of the {kind} trigger",),
        metrics={"candidate": candidate, "champion": champion} if trained else {},
        gate=(rejected,) if state == "rejected" else (),
        spent=0.4137 if trained else 0.0,
        history=(
            ChangeLine(at=iso(opened), state="waiting", reason="a trigger came"),
            ChangeLine(at=iso(ended), state=state, reason=reason),
        ),
    )


def _skips() -> list[RunLine]:
    codes = list(SKIPS)
    found = []
    for number in range(60):
        code = codes[0] if number % 5 else codes[1 + number % 2]
        at = START + timedelta(days=5 * number, hours=7)
        found.append(
            RunLine(
                run_id=f"flights-{at:%Y%m%dt%H%M}-skip",
                opened=iso(at),
                ended=iso(at),
                state="skipped",
                code=code,
                reason=SKIPS[code],
                causes=("data: 6,210 new rows since the last run",),
            )
        )
    return found


def triggers() -> tuple[TriggerLine, ...]:
    """One for each run and eight that joined a run that was waiting."""
    lines = []
    for run in (*runs(), *runs()[:8]):
        kind = run.causes[0].split(":")[0]
        lines.append(
            TriggerLine(
                at=run.opened,
                kind=kind,
                reason=run.causes[0].split(": ", 1)[1],
                key=f"{kind}:flights:{run.opened[:10]}",
                run_id=run.run_id,
                actor="operator@example.com" if kind == "manual" else "",
            )
        )
    return tuple(sorted(lines, key=lambda line: line.at))


def traffic() -> tuple[TrafficStep, ...]:
    """5, 25, 50 and 100 % for each promoted run; the harmful one stops at 25."""
    steps, champion = [], run_id(0)
    for number, (_, state) in enumerate(ENDS):
        if state not in ("promoted", "rolled_back"):
            continue
        at = START + timedelta(days=25 * number, hours=12)
        if number == 0:
            steps.append(TrafficStep(at=iso(at), split={champion: 100}, phase="full", reason="the first model"))
            continue
        for step, share in enumerate((5, 25, 50, 100) if state == "promoted" else (5, 25)):
            split = {champion: 100 - share, run_id(number): share} if share < 100 else {run_id(number): 100}
            moment = iso(at + timedelta(hours=18 * step))
            steps.append(TrafficStep(at=moment, split=split, phase="step", reason=f"to {share} %: healthy"))
        if state == "rolled_back":
            back = iso(at + timedelta(hours=40))
            steps.append(TrafficStep(at=back, split={champion: 100}, phase="rolling_back", reason="it harms"))
        else:
            champion = run_id(number)
    return tuple(steps)


def drift() -> tuple[DriftWindow, ...]:
    """A window every three days; taxi_out moves for a month from July."""
    found = []
    for number in range(100):
        at = START + timedelta(days=3 * number)
        moved = 42 < number < 54
        effects = {
            name: round(abs(math.sin(number * (place + 1) / 7)) * 0.18, 4) for place, name in enumerate(FEATURES)
        }
        effects["taxi_out"] = 1.31 if moved else effects["taxi_out"]
        found.append(
            DriftWindow(
                at=iso(at),
                effects=effects,
                flagged=("taxi_out",) if moved else (),
                kind="drift" if moved else "ordinary",
            )
        )
    return tuple(found)


def summary() -> Summary:
    """The whole year."""
    outcomes = [(number, state) for number, (_, state) in enumerate(ENDS) if state in ("promoted", "rolled_back")]
    return Summary(
        model="flights",
        started=iso(START),
        ended=iso(END),
        wall_seconds=471.3,
        verdict="Never retraining would have cost a log-loss of 0.3612; this system cost 0.3071.",
        loss_name="log_loss",
        weeks=weeks(),
        traffic=traffic(),
        drift=drift(),
        incidents=(
            IncidentLine(
                opened=iso(START + timedelta(days=132)),
                closed=iso(START + timedelta(days=163)),
                kind="drift",
                features={"taxi_out": 1.31},
            ),
        ),
        triggers=triggers(),
        runs=runs(),
        rollouts=tuple(
            RolloutLine(
                run_id=run_id(number),
                result=state,
                reason="worse on closed labels" if state == "rolled_back" else "served without harm",
                at=iso(START + timedelta(days=25 * number + 3)),
            )
            for number, state in outcomes
        ),
        money=MoneyLine(spent=4.5507, limit=60),
        happenings=(
            Happening(at="2013-06-30T00:00:00+00:00", what="dep_delay arrives in seconds (injected)"),
            Happening(at="2013-07-09T00:00:00+00:00", what="Newark reads its taxi clock earlier (injected)"),
            Happening(at="2013-11-22T00:00:00+00:00", what="a backfill leaks the answer into taxi_out (injected)"),
        ),
        seen={
            "a schedule run": run_id(2),
            "a drift run": run_id(5),
            "a blocked broken feed": run_id(4),
            "a rollback of a harmful challenger": run_id(10),
            "an approval by a person": "",
        },
    )
