"""One record's trouble never stops the others: what a tick does about each record, it does inside a guard."""

from collections.abc import Callable

from retraining.errors import Conflict, RetrainingError


class Guard:
    """Performs acts one after the other. What failed is reported and left to the next tick."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._defects: list[Exception] = []

    def __call__(self, what: str, act: Callable[[], object]) -> None:
        """Perform ``act``, which is about ``what``, for example a run's id."""
        try:
            act()
        except Conflict:
            self._report(f"{what}: somebody else is at it")
        except RetrainingError as error:
            self._report(f"{what}: postponed: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - raised again by ``finish``, after the others had their turn
            self._report(f"{what}: a defect: {type(error).__name__}: {error}")
            error.add_note(what)
            self._defects.append(error)

    def finish(self) -> None:
        """Raises an ExceptionGroup of what nobody foresaw: it is a mistake in this program, and has to be seen."""
        if self._defects:
            raise ExceptionGroup("the other records had their turn", self._defects)
