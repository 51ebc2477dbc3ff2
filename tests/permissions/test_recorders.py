"""Recorders pass everything on as it is, keep their clients, and write down who asked for what."""

import io
from collections.abc import Iterator

import grpc
import pytest
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed

from gcp.storage import connect
from local.recording.calls import Call, Log
from local.recording.grpc_proxy import GrpcProxy
from local.recording.http_proxy import HttpProxy
from local.recording.system import QUIET

LARGE = 2 * 256 * 1024 + 1  # in pieces of the smallest size that Cloud Storage takes


@pytest.fixture
def recorder(gcs: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpProxy]:
    """An address of its own in front of Cloud Storage, for an account that has a bucket."""
    monkeypatch.setenv(*QUIET)
    direct = connect("local", gcs)
    if not direct.bucket("recorded").exists():
        direct.create_bucket("recorded")
    for blob in direct.list_blobs("recorded"):
        blob.delete()
    with HttpProxy(gcs, "somebody", "storage", Log()) as proxy:
        yield proxy


def told(recorder: HttpProxy) -> list[tuple[str, str, str]]:
    """Verb, path and status of each call."""
    assert {call.account for call in recorder.log.calls} == {"somebody"}
    return [(call.method, call.path, call.status) for call in recorder.log.calls]


def test_what_is_written_through_a_recorder_is_read_through_it(recorder: HttpProxy) -> None:
    """Byte for byte, and each call is known."""
    blob = connect("local", recorder.url).bucket("recorded").blob("runs/r.json")
    blob.upload_from_string(b"\x00body\r\n", content_type="application/json")

    assert blob.download_as_bytes() == b"\x00body\r\n"
    assert [(verb, status) for verb, _, status in told(recorder)] == [("POST", "200"), ("GET", "200")]


def test_a_listed_object_is_read_at_the_same_address(recorder: HttpProxy) -> None:
    """The server's answer says where the content lies; it must not lead past the recorder."""
    client = connect("local", recorder.url)
    client.bucket("recorded").blob("a").upload_from_string(b"1")
    (blob,) = client.list_blobs("recorded")

    assert blob.download_as_bytes() == b"1"
    assert told(recorder)[-1][:2] == ("GET", "/download/storage/v1/b/recorded/o/a")


def test_an_upload_in_pieces_stays_with_the_recorder(recorder: HttpProxy) -> None:
    """Where to go on is the server's to say, too."""
    blob = connect("local", recorder.url).bucket("recorded").blob("large", chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(b"x" * LARGE))  # of a size that it is not told

    assert blob.download_as_bytes() == b"x" * LARGE
    assert [verb for verb, path, _ in told(recorder) if path.startswith("/upload")] == ["POST", "PUT", "PUT", "PUT"]


def test_an_upload_over_an_object_is_told_from_a_new_one(recorder: HttpProxy) -> None:
    """With and without a condition; one that must not replace never does."""
    blob = connect("local", recorder.url).bucket("recorded").blob("a")
    blob.upload_from_string(b"1")
    blob.upload_from_string(b"2")
    blob.upload_from_string(b"3", if_generation_match=blob.generation)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"4", if_generation_match=0)

    assert [call.replaced for call in recorder.log.calls] == [False, True, True, False]


def test_a_refusal_comes_through(recorder: HttpProxy) -> None:
    """With its status in the log."""
    with pytest.raises(NotFound):
        connect("local", recorder.url).bucket("recorded").blob("none").download_as_bytes()

    assert told(recorder)[-1][2] == "404"


def test_a_call_that_is_not_granted_is_refused_and_never_arrives(recorder: HttpProxy) -> None:
    """As IAM would, with what is lacking; the record has it."""
    recorder.log.refusal = lambda call: "you may not" if call.method == "POST" else ""
    bucket = connect("local", recorder.url).bucket("recorded")
    with pytest.raises(Forbidden, match="you may not"):
        bucket.blob("a").upload_from_string(b"1")

    assert not bucket.blob("a").exists()
    assert [(call.status, call.refused) for call in recorder.log.refused] == [("403", "you may not")]


def test_who_may_not_list_is_not_told_that_an_object_is_missing(recorder: HttpProxy) -> None:
    """A refusal may follow from the answer."""
    recorder.log.refusal = lambda call: "you may not list" if call.status == "404" else ""
    with pytest.raises(Forbidden, match="you may not list"):
        connect("local", recorder.url).bucket("recorded").blob("none").download_as_bytes()

    assert [call.status for call in recorder.log.calls] == ["403"]


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers one method with what it was asked, and refuses the other."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if details.method.endswith("Refuse"):
                context.set_trailing_metadata((("why", "because"),))
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
            return request + dict(context.invocation_metadata()).get("routing", "").encode()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def service() -> Iterator[str]:
    """A gRPC server."""
    from local.servers.rpc import GrpcServer

    with GrpcServer(_Service()) as server:
        yield server.address


def test_a_call_over_grpc_comes_through_with_its_metadata(service: str) -> None:
    """And its first message is kept."""
    log = Log()
    with GrpcProxy(service, "somebody", "vertex", log) as proxy, grpc.insecure_channel(proxy.address) as channel:
        answer = channel.unary_unary("/x.Y/Ask")(b"hello ", metadata=(("routing", "here"),), timeout=5)

    assert answer == b"hello here"
    assert log.calls == (Call("somebody", "vertex", "/x.Y/Ask", body=b"hello ", status="OK"),)


def test_a_refusal_over_grpc_comes_through(service: str) -> None:
    """Code, words and trailing metadata."""
    log = Log()
    with (
        GrpcProxy(service, "somebody", "vertex", log) as proxy,
        grpc.insecure_channel(proxy.address) as channel,
        pytest.raises(grpc.RpcError) as refusal,
    ):
        channel.unary_unary("/x.Y/Refuse")(b"", timeout=5)

    assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.value.details() == "not now"
    assert ("why", "because") in [tuple(one) for one in refusal.value.trailing_metadata()]
    assert log.calls[0].status == "FAILED_PRECONDITION"


def test_a_call_over_grpc_that_is_not_granted_is_refused(service: str) -> None:
    """With PERMISSION_DENIED."""
    log = Log(lambda call: "you may not")
    with (
        GrpcProxy(service, "somebody", "vertex", log) as proxy,
        grpc.insecure_channel(proxy.address) as channel,
        pytest.raises(grpc.RpcError) as refusal,
    ):
        channel.unary_unary("/x.Y/Ask")(b"hello", timeout=5)

    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [(call.method, call.refused) for call in log.refused] == [("/x.Y/Ask", "you may not")]
