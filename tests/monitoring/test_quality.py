"""Ticks over broken feeds, changed worlds and late labels: what opens, what blocks, and what is left alone."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitoring.handler import MonitorWorld, tick
from monitoring.log import Subject
from monitoring.performance import DayCounts
from monitoring.performing import LOSS
from retraining.errors import Temporary
from retraining.rollouts import Phase
from tests.monitoring.days import Shift, arrived
from tests.monitoring.scores import Scores
from tests.monitoring.test_handler import ROWS, Installation
from tests.monitoring.traffic import MONDAY

DAY = timedelta(days=1)


@dataclass
class Labelled:
    """Prediction days whose labels come a day later."""

    drawn: Scores = field(default_factory=lambda: Scores(seed=4))
    kept: dict[datetime, DayCounts] = field(default_factory=dict)
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    share: float = 1.0
    fails: bool = False

    def join(self, subject: Subject, start: datetime, end: datetime, now: datetime) -> None:
        """See Labels."""
        if self.fails:
            raise Temporary("labels: no answer")
        self.asked.append(("join", start, end))
        at = start
        while at < end:
            if at not in self.kept:
                self.drawn.day = at
                self.kept[at] = self.drawn.draw(1500, self.share)
            at += DAY

    def days(self, subject: Subject, since: datetime, until: datetime) -> list[DayCounts]:
        """See Labels. Labels of the last two days are not due."""
        self.asked.append(("days", since, until))
        found = [one for at, one in sorted(self.kept.items()) if since <= at < until]
        return [one if one.start + 2 * DAY <= until else _early(one) for one in found]


def _early(day: DayCounts) -> DayCounts:
    return replace(day, bins=tuple(replace(type(cell)(), answered=cell.answered) for cell in day.bins))


class Site(Installation):
    """An installation that knows how rows arrive and which labels came."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.labelled = Labelled()

    def world(self) -> MonitorWorld:
        """What a tick gets."""
        return replace(super().world(), labels=self.labelled)

    def day(self, shift: Shift | None = None, rows: int = ROWS) -> list[str]:
        """A day whose rows arrived like others, unless it is already said how."""
        if rows:
            self.log.arrivals.setdefault(self.now.replace(minute=0), arrived(rows))
        return super().day(shift, rows)

    def broken_day(self, shift: Shift | None = None, rows: int = ROWS, **came: int) -> list[str]:
        """A day whose rows arrived like this."""
        if rows:
            self.log.arrivals[self.now.replace(minute=0)] = arrived(rows, **came)
        return self.day(shift, rows)


def test_repeated_rows_open_a_data_ticket_with_its_reason() -> None:
    """It opens at once, says what is broken, and asks for no run."""
    one = Site()
    one.ordinary(8)
    one.broken_day(repeats=600)

    assert one.incident is not None
    assert (one.incident.kind, one.incident.do, one.published) == ("data", "look at the feed", [])
    assert one.incident.why == "30.0% of rows are repeated where 0.0% were the most"
    assert one.audit() == ["incident opened"]


def test_a_ticket_closes_when_the_feed_is_whole() -> None:
    """After three ordinary windows, once."""
    one = Site()
    one.ordinary(8)
    one.broken_day(until=15)
    one.ordinary(5)

    assert one.audit() == ["incident opened", "incident closed"]


def test_a_day_without_any_row_is_a_broken_feed() -> None:
    """No row means no verdict about drift, and a ticket about volume."""
    one = Site()
    one.ordinary(8)
    one.broken_day(rows=0)

    assert one.incident is not None
    assert one.incident.why == f"0 rows where {ROWS} are usual"


def test_a_broken_feed_says_nothing_about_the_world() -> None:
    """Means moved while rows were repeated: the window is judged, and no drift is concluded from it."""
    one = Site()
    one.ordinary(30)
    for _ in range(3):
        one.broken_day({"delay": 0.4}, repeats=600)

    assert one.incident is not None
    assert (one.incident.kind, one.published) == ("data", [])


def test_drift_goes_on_once_the_feed_is_whole() -> None:
    """A drift incident turns into data while the feed is broken, and back when the world still looks changed."""
    one = Site()
    one.ordinary(30)
    one.day({"delay": 0.4})
    one.day({"delay": 0.4})
    one.broken_day({"delay": 0.4}, repeats=600)
    between = one.incident
    for _ in range(3):
        one.day({"delay": 0.4})

    assert [each.kind for each in (between, one.incident) if each] == ["data", "drift"]
    assert one.audit() == ["incident opened", "incident became data", "incident became drift"]


def test_new_categories_are_the_world_while_the_feed_is_whole() -> None:
    """A carrier that nobody knew takes rows from all others: drift, which asks for a run, and no ticket."""
    one = Site()
    one.ordinary(30)
    for _ in range(2):
        at = one.now.replace(minute=0)
        window = one.days.window(ROWS)
        window["carrier"] = replace(window["carrier"], cells=(1080, 720, 200), n_unseen=200)
        one.log.windows[at] = window
        one.now = at + DAY + timedelta(minutes=5)
        tick(one.world())

    assert one.incident is not None
    assert (one.incident.kind, list(one.incident.features)) == ("drift", ["carrier"])
    assert one.published


def test_a_renamed_category_is_the_feed() -> None:
    """The rows of one carrier come under another name: a ticket that names it, and no run."""
    one = Site()
    one.ordinary(30)
    at = one.now.replace(minute=0)
    window = one.days.window(ROWS)
    window["carrier"] = replace(window["carrier"], cells=(1200, 0, 800), n_unseen=800)
    one.log.windows[at] = window
    one.now = at + DAY + timedelta(minutes=5)
    tick(one.world())

    assert one.incident is not None
    assert (one.incident.kind, one.published) == ("data", [])
    assert "'UA' lost as many: it seems renamed" in one.incident.why


def test_broken_days_are_no_ordinary_days() -> None:
    """What was wrong for a week is still wrong in the second."""
    one = Site()
    one.ordinary(8)
    for _ in range(10):
        one.broken_day(repeats=600)

    assert [bool(arrival.faults) for arrival in one.watch.arrivals] == [False] * 8 + [True] * 10


def test_ordinary_days_ask_for_no_names() -> None:
    """Clients that always send a name too many, and one day a single repeated row: nothing is broken."""
    one = Site()
    for day in range(10):
        one.broken_day(unknown=ROWS, repeats=int(day == 9))

    assert [call for call in one.log.asked if call[0] == "names"] == []
    assert one.incident is None


def test_a_vanished_input_is_explained_by_the_names_that_came_instead() -> None:
    """The log is asked once, for the one window, and the ticket says the new name."""
    one = Site()
    one.ordinary(8)
    one.log.names = {"delay_minutes": ROWS, "trace": 3}
    one.broken_day({"missing:delay": 1.0}, unknown=ROWS)
    tick(one.world())

    assert one.incident is not None
    assert one.incident.why.endswith("values are missing; new in the payloads: delay_minutes")
    asked = [call for call in one.log.asked if call[0] == "names"]
    assert asked == [("names", MONDAY + 8 * DAY, MONDAY + 9 * DAY)]
    assert one.watch.arrivals[-1].unknown == one.log.names


def test_a_fault_stands_although_its_names_cannot_be_read() -> None:
    """The ticket opens without them, and the line says why."""
    one = Site()
    one.ordinary(8)
    one.log.fails = Temporary("log: no answer")
    lines = one.broken_day({"missing:delay": 1.0}, unknown=ROWS)

    assert lines[-1] == "punctual: names in payloads: failed, Temporary: log: no answer"
    assert one.incident is not None
    assert one.incident.why.endswith("values are missing")


def test_windows_of_an_older_release_tell_nothing_of_how_rows_came() -> None:
    """Their rows are counted; whether any came again, and when the last one came, is not made up."""
    one = Site()
    for _ in range(8):
        Installation.day(one)
    one.broken_day(until=20)

    assert [(each.rows, each.seen) for each in one.watch.arrivals] == [(ROWS, False)] * 8 + [(ROWS, True)]
    assert one.incident is None


def test_losses_are_looked_at_once_a_day() -> None:
    """One join over the days whose labels may still change, and one read."""
    one = Site()
    one.ordinary(12)
    one.labelled.asked.clear()
    one.day()
    tick(one.world())
    joins = [call for call in one.labelled.asked if call[0] == "join"]

    assert [call[0] for call in one.labelled.asked] == ["join", "days"]
    assert joins == [("join", MONDAY + 11 * DAY, MONDAY + 13 * DAY)]


def test_an_ordinary_season_of_losses_opens_nothing() -> None:
    """Sixty days with labels as said: the reference stands, nothing opens."""
    one = Site()
    one.ordinary(60)
    last = one.watch.performed[-1]

    assert (one.incident, one.published) == (None, [])
    assert not any(each.worse for each in one.watch.performed)
    assert last.realised is not None
    assert last.mature_until == MONDAY + 59 * DAY


def test_a_worse_loss_is_drift_although_the_inputs_stay() -> None:
    """Labels stop following the scores: the incident says so, asks for a run, and ordinary inputs leave it open."""
    one = Site()
    one.ordinary(30)
    one.labelled.drawn.concept = 0.4
    one.ordinary(12)

    assert one.incident is not None
    assert (one.incident.kind, list(one.incident.features), one.incident.closed) == ("drift", [LOSS], None)
    assert one.incident.do == "retrain"
    assert "the same inputs mean something else now" in one.incident.why
    assert one.audit() == ["incident opened"]
    assert one.published


def test_the_incident_of_a_loss_closes_when_the_loss_is_as_before() -> None:
    """Once labels follow the scores again, three ordinary windows end it."""
    one = Site()
    one.ordinary(30)
    one.labelled.drawn.concept = 0.4
    one.ordinary(8)
    one.labelled.drawn.concept = 0.0
    one.ordinary(20)

    assert one.audit() == ["incident opened", "incident closed"]


def test_labels_that_stop_coming_open_a_data_ticket() -> None:
    """Half of the due labels are missing from one day to the next."""
    one = Site()
    one.ordinary(10)
    one.labelled.share = 0.4
    one.ordinary(11)

    assert one.incident is not None
    assert one.incident.kind == "data"
    assert "of due labels have come where 100% are usual" in one.incident.why


def test_labels_that_come_in_batches_open_no_ticket() -> None:
    """A week in which none came is no fault yet."""
    one = Site()
    one.ordinary(10)
    one.labelled.share = 0.0
    one.ordinary(6)

    assert one.incident is None


def test_labels_that_cannot_be_read_hold_up_nothing() -> None:
    """The window is judged and the line says why losses are not."""
    one = Site()
    one.labelled.fails = True
    lines = one.day()

    assert lines[-1] == "punctual: losses: failed, Temporary: labels: no answer"
    assert one.watch.judged_until == MONDAY + DAY
    assert one.watch.performed == ()


def test_a_rollout_mutes_the_feed_too() -> None:
    """While traffic moves between models a champion loses rows, and that is no fault."""
    one = Site()
    one.ordinary(10)
    one.serve("run-1", Phase.STEP)
    one.broken_day(rows=500)
    one.serve("run-1")
    one.ordinary(2)

    assert one.incident is None
    assert [arrival.muted for arrival in one.watch.arrivals[-3:]] == [True, False, False]


def test_a_tick_that_dies_while_it_tells_of_a_fault_is_finished() -> None:
    """The same record, and the ticket is shown."""
    one = Site()
    one.ordinary(8)

    def act(name: str, perform: object) -> object:
        if name == "show incident":
            raise Temporary("died")
        return perform()  # type: ignore[operator]

    at = one.now.replace(minute=0)
    one.log.windows[at] = one.days.window(ROWS)
    one.log.arrivals[at] = arrived(ROWS, repeats=900)
    one.now = at + DAY + timedelta(minutes=5)
    lines = tick(replace(one.world(), effect=act))
    shown = one.incident
    tick(one.world())

    assert "died" in lines[0]
    assert shown is None
    assert one.incident is not None
