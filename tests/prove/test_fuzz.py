"""Some thousand of the million hostile requests, and that the proof sees what it is there to see."""

from collections.abc import Callable

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from retraining import names
from tests.prove.fuzz import Tally, post, run
from tests.prove.hostile import TARGETS, Sent, make
from tests.prove.witness import wrong

# The framework asks for the time in a way that Python no longer likes.
pytestmark = pytest.mark.filterwarnings(r"ignore:datetime.datetime.utcnow\(\) is deprecated:DeprecationWarning")


def answering(answer: Callable[[], Response]) -> FlaskClient:
    """A client of an application that gives this answer to everything."""
    app = Flask("wrong")
    app.testing = True  # what is raised gets out
    app.add_url_rule("/", "all", answer, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    return app.test_client()


def crash() -> Response:
    raise RecursionError("deep")


def chatter() -> Response:
    print("not a line of JSON")
    return Response(status=200)


def test_hostile_requests_break_no_promise() -> None:
    """Some thousand over records in memory, some hundred over Storage."""
    part = run(seed=7, count=2500, cpu_s=8, real_count=800, real_cpu_s=5)

    assert not part.broken
    assert all(int(row[1]) > 30 and int(row[2]) > 0 for row in part.rows)
    assert len(part.rows) == len(TARGETS)


def test_a_request_is_made_again_from_its_seed_and_from_its_text() -> None:
    sent = make(3, 41)

    assert make(3, 41) == sent
    assert Sent.from_text(sent.to_text()) == sent


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (crash, "RecursionError got out"),
        (lambda: Response("Traceback"), "the answer has a body"),
        (
            lambda: Response(headers={"X-Said": request.headers["Authorization"]}),
            "a header of the request came back",
        ),
        (chatter, "a line of the log is no JSON"),
    ],
    ids=["raises", "body", "header", "log"],
)
def test_the_proof_sees_an_answer_that_is_wrong(answer: Callable[[], Response], why: str) -> None:
    tally = Tally(seed=1)
    post(answering(answer), Sent("on_tick", "real", b"{}", (("Authorization", "Bearer canary-7f3a9c"),)), tally)

    assert [story.startswith(why) for story in tally.broken] == [True]
    assert "--replay" in tally.broken[0]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (names.run_path("flights-1"), "{}", "is none of intake's records"),
        (names.inbox_path("flights", "k"), "{}", "BadRecord"),
        ("quarantine/1.json", "[]", "TypeError"),
    ],
)
def test_the_proof_sees_a_record_that_is_wrong(path: str, body: str, why: str) -> None:
    assert why in wrong(path, body)
