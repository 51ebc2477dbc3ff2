"""The supervisor, over small servers that behave and misbehave as told."""

import os
import signal
import time
from pathlib import Path

import pytest

from local.stack.status import Phase, ServerStatus
from tests.stack.supervising import ready, supervised, until

ONE = [{"name": "one", "mode": "serve"}]
CHAIN = [
    {"name": "last", "mode": "serve", "after": ["task"]},
    {"name": "task", "mode": "task", "after": ["first"]},
    {"name": "first", "mode": "serve"},
]


class TestStarting:
    def test_a_server_answers_where_the_status_says(self, tmp_path: Path) -> None:
        with ready(tmp_path, ONE) as stack:
            assert stack.answer("one") == stack.status.servers["one"].pid

    def test_a_server_waits_for_those_it_needs(self, tmp_path: Path) -> None:
        with ready(tmp_path, CHAIN):
            logs = [(tmp_path / "logs" / f"{name}.log").stat().st_ctime_ns for name in ("first", "task", "last")]

        assert logs == sorted(logs)

    def test_a_task_that_ended_well_is_done(self, tmp_path: Path) -> None:
        with ready(tmp_path, CHAIN) as stack:
            assert stack.status.servers["task"].phase is Phase.DONE

    def test_a_server_that_fails_ends_the_start_with_its_last_words(self, tmp_path: Path) -> None:
        with supervised(tmp_path, [*ONE, {"name": "two", "mode": "bad", "after": ["one"]}]) as stack:
            said, _ = stack.process.communicate(timeout=20)

        assert stack.process.returncode == 1
        assert "two ended with exit code 1 before it was ready" in said
        assert "cannot read the table of contents" in stack.status.error
        assert stack.status.phase is Phase.FAILED

    def test_a_failed_start_leaves_no_process(self, tmp_path: Path) -> None:
        with supervised(tmp_path, [*ONE, {"name": "two", "mode": "bad", "after": ["one"]}]) as stack:
            stack.process.communicate(timeout=20)

            assert stack.left() == []

    def test_a_server_that_never_serves_is_given_up(self, tmp_path: Path) -> None:
        with supervised(tmp_path, [{"name": "mute", "mode": "silent", "timeout": 0.5}]) as stack:
            stack.process.communicate(timeout=20)

        assert "mute not ready within 0.5 s" in stack.status.error


class TestRestarting:
    def test_a_killed_server_comes_back_on_the_same_port(self, tmp_path: Path) -> None:
        with ready(tmp_path, ONE) as stack:
            before, port = stack.answer("one"), stack.port("one")
            os.kill(before, signal.SIGKILL)
            until(lambda: stack.answer("one") != before)

            assert stack.port("one") == port

    def test_each_end_is_counted_and_told_in_the_log(self, tmp_path: Path) -> None:
        with ready(tmp_path, ONE) as stack:
            for count in (1, 2):
                os.kill(stack.answer("one"), signal.SIGKILL)
                until(lambda count=count: _came_back(stack.status.servers["one"], count))  # type: ignore[misc]
            log = stack.layout.log("one").read_text()

        assert log.count("ended by itself with signal SIGKILL") == 2
        assert "starting again in 0.50 s" in log

    def test_what_a_dead_server_started_dies_before_it_comes_back(self, tmp_path: Path) -> None:
        with ready(tmp_path, ONE) as stack:
            first = stack.answer("one")
            os.kill(first, signal.SIGKILL)
            until(lambda: stack.answer("one") != first)

            assert stack.left() == [stack.answer("one")]


def _came_back(server: ServerStatus, times: int) -> bool:
    return server.restarts == times and server.phase is Phase.READY


class TestStopping:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["told", "Ctrl-C"])
    def test_a_signal_stops_everything(self, tmp_path: Path, how: signal.Signals) -> None:
        with ready(tmp_path, [*ONE, {"name": "two", "mode": "parent"}]) as stack:
            stack.process.send_signal(how)
            stack.process.communicate(timeout=20)

            assert stack.left() == []
            assert stack.status.phase is Phase.STOPPED

    def test_the_end_of_the_lease_stops_everything(self, tmp_path: Path) -> None:
        with ready(tmp_path, ONE, leased=True) as stack:
            stack.process.communicate(timeout=20)

            assert (stack.process.returncode, stack.left()) == (0, [])

    def test_a_killed_supervisor_leaves_nothing_even_of_what_left_its_group(self, tmp_path: Path) -> None:
        with ready(tmp_path, [*ONE, {"name": "two", "mode": "parent"}]) as stack:
            assert len(stack.left()) == 3
            stack.process.kill()

            until(lambda: stack.left() == [])

    def test_servers_stop_in_reverse_order(self, tmp_path: Path) -> None:
        order = [{"name": "a", "mode": "serve"}, {"name": "b", "mode": "serve", "after": ["a"]}]
        with ready(tmp_path, order) as stack:
            pids = {name: stack.answer(name) for name in ("a", "b")}
            os.kill(pids["b"], signal.SIGSTOP)  # cannot end, so that the other's turn is seen not to come
            stack.process.terminate()
            time.sleep(0.5)

            assert stack.answer("a") == pids["a"]
            os.kill(pids["b"], signal.SIGCONT)
