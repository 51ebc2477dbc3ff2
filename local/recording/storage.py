"""Calls of Cloud Storage's JSON interface and the permissions they need.

https://cloud.google.com/storage/docs/access-control/iam-json lists them by method.
"""

import re
from urllib.parse import unquote

from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall
from local.recording.uploads import object_name

_OBJECTS = re.compile(r"(?:/download|/upload)?/storage/v1/b/(?P<bucket>[^/]+)/o")
_OBJECT = re.compile(rf"{_OBJECTS.pattern}/(?P<name>[^/]+)(?P<verb>/(?:copyTo|rewriteTo)/b/[^/]+/o/[^/]+)?")
_TARGET = re.compile(r"/(?:copyTo|rewriteTo)/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
_OF_OBJECT = {
    "GET": "storage.objects.get",  # objects.get, of the description and of the content
    "HEAD": "storage.objects.get",
    "DELETE": "storage.objects.delete",  # objects.delete
    "PATCH": "storage.objects.update",  # objects.patch
}


def needs(call: Call) -> tuple[Need, ...]:
    """What a call of Cloud Storage needs. Raises UnknownCall."""
    if match := _OBJECTS.fullmatch(call.path):
        return _of_objects(call, match["bucket"])
    if match := _OBJECT.fullmatch(call.path):
        return _of_object(call, match["bucket"], unquote(match["name"]), match["verb"] or "")
    raise UnknownCall(f"{call}: expected a call on objects that local/recording/storage.py knows")


def _of_objects(call: Call, bucket: str) -> tuple[Need, ...]:
    if call.method == "GET":  # objects.list; conditions see the prefix
        return (Need("storage.objects.list", "object", f"{bucket}/{call.query.get('prefix', '')}"),)
    if call.method == "PUT" and "upload_id" in call.query:  # goes on with an upload that was counted when it began
        return ()
    if call.method == "POST" and call.path.startswith("/upload/"):  # objects.insert
        return _written(bucket, object_name(call.query, call.body), call.replaced)
    raise UnknownCall(f"{call}: expected a list or an upload")


def _of_object(call: Call, bucket: str, name: str, verb: str) -> tuple[Need, ...]:
    path = f"{bucket}/{name}"
    if target := _TARGET.fullmatch(verb):  # objects.copy, objects.rewrite; whether it replaces cannot be seen
        there = _written(target["bucket"], unquote(target["name"]), replaced=True)
        return (Need("storage.objects.get", "object", path), *there)
    if call.method not in _OF_OBJECT:
        raise UnknownCall(f"{call}: expected one of {', '.join(_OF_OBJECT)} on an object")
    needed = Need(_OF_OBJECT[call.method], "object", path)
    # Who may not list is believed to be told 403 of an object that is not there, lest names be guessed; 404 is for
    # who may. The reference does not say so: until a first run in the cloud shows it, this is the safe side.
    return (needed, Need("storage.objects.list", "bucket", bucket)) if call.status == "404" else (needed,)


def _written(bucket: str, name: str, replaced: bool) -> tuple[Need, ...]:
    """ "Replacing existing objects requires both" storage.objects.create and storage.objects.delete."""
    path = f"{bucket}/{name}"
    create = Need("storage.objects.create", "object", path)
    return (create, Need("storage.objects.delete", "object", path)) if replaced else (create,)
