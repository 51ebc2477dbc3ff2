"""Whether a model folder may be loaded at all: a model is a program, and loading one runs it.

Nothing is loaded here. Names of files are compared with those of an export, which leaves no place for `.keras`,
`.h5` or pickled files, and the graph is read as plain data: every operation must be one that computes. Operations
that open files belong to the saver, which no signature, initializer or other function may reach.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trainer.errors import Unusable

MAX_GRAPH_BYTES = 64 * 1024 * 1024
_FILES = re.compile(r"saved_model\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})", re.ASCII)

# What the served graph of `trainer.model` and `trainer.preprocess` consists of, and near relatives that compute as
# purely. An operation is added here only by somebody who has read what it does.
_COMPUTES = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax ArgMin AsString BatchMatMulV2 BiasAdd BroadcastTo Bucketize Cast Ceil
    ClipByValue ConcatV2 Const DivNoNan Einsum Elu Equal Erf Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod
    GatherNd GatherV2 Greater GreaterEqual Identity IdentityN IsFinite IsInf IsNan LeakyRelu Less LessEqual Log
    Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mul MulNoNan Neg NoOp
    NotEqual OneHot OnesLike Pack Pad PadV2 Placeholder PlaceholderWithDefault Pow PreventGradient Prod Range
    Rank RealDiv Reciprocal Relu Relu6 Reshape Round Rsqrt Select SelectV2 Selu Shape Sigmoid Sign Size Slice
    Softmax Softplus Softsign Split SplitV Sqrt Square SquaredDifference Squeeze StaticRegexFullMatch
    StaticRegexReplace StopGradient StridedSlice StringJoin StringLength StringLower StringStrip
    StringToHashBucketFast StringToNumber StringUpper Sub Sum Tanh Tile TopKV2 Transpose Unpack UpperBound
    LowerBound Where Xdivy Xlogy ZerosLike
    """.split()  # noqa: SIM905 - a list of a hundred lines reads no better
)
# The model's own variables and tables, and calls between its own functions.
_HOLDS = frozenset(
    """
    AssignVariableOp DisableCopyOnRead HashTableV2 LookupTableFindV2 LookupTableImportV2 LookupTableSizeV2
    PartitionedCall ReadVariableOp StatefulPartitionedCall VarHandleOp VarIsInitializedOp
    """.split()  # noqa: SIM905
)
_SAVES = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
_KNOWN = _COMPUTES | _HOLDS | _SAVES


def screen(folder: Path) -> None:
    """Raise Unusable, naming what was found, unless ``folder`` holds an exported model and nothing else."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or (path.is_file() and not _FILES.fullmatch(name)):
            raise Unusable(f"{name!r:.120}: no part of an exported model; it may not be loaded")
    graph = folder / "saved_model.pb"
    if not graph.is_file():
        raise Unusable("expected a SavedModel with saved_model.pb, found none")
    if graph.stat().st_size > MAX_GRAPH_BYTES:
        raise Unusable(f"saved_model.pb: expected at most {MAX_GRAPH_BYTES} bytes, got {graph.stat().st_size}")
    for reason in _objections(_parse(graph.read_bytes())):
        raise Unusable(f"saved_model.pb: {reason}; it may not be loaded")


def _parse(body: bytes) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        found = saved_model_pb2.SavedModel.FromString(body)
    except DecodeError as error:
        raise Unusable(f"saved_model.pb: expected a SavedModel: {error}") from error
    if len(found.meta_graphs) != 1:
        raise Unusable(f"saved_model.pb: expected one graph, found {len(found.meta_graphs)}")
    return found.meta_graphs[0]


def _objections(meta: Any) -> Iterator[str]:
    functions = {function.signature.name: list(function.node_def) for function in meta.graph_def.library.function}
    everything = [("the graph", list(meta.graph_def.node)), *functions.items()]
    for where, nodes in everything:
        for node in nodes:
            if node.op not in _KNOWN:
                yield f"operation {node.op!r:.60} in {where:.80}"
    if meta.asset_file_def:
        yield "files that tables are read from"
    yield from _misused(meta, functions)


def _misused(meta: Any, functions: dict[str, list[Any]]) -> Iterator[str]:
    """Ways to the saver's functions, which open files, that are none of the saver's."""
    savers = {name for name, nodes in functions.items() if any(node.op in _SAVES for node in nodes)}
    saver = {meta.saver_def.save_tensor_name.partition(":")[0], meta.saver_def.restore_op_name}
    for node in meta.graph_def.node:
        if node.op in _SAVES or (savers & set(_called([node])) and node.name not in saver):
            yield f"node {node.name!r:.80} of the graph opens files"
    for name, nodes in functions.items():
        if savers & set(_called(nodes)):
            yield f"function {name:.80} opens files"
    named = set(meta.object_graph_def.concrete_functions)  # what loading makes callable, and calls itself
    for item in meta.object_graph_def.nodes:
        named.update(item.function.concrete_functions)
        named.add(item.bare_concrete_function.concrete_function_name)
    for name in sorted(savers & named):
        yield f"function {name:.80} opens files and can be called"
    yield from _signatures(meta, saver)


def _signatures(meta: Any, saver: set[str]) -> Iterator[str]:
    """Signatures whose answer comes from the saver: running one would read or write a file."""
    inputs = {
        node.name: [text.lstrip("^").partition(":")[0] for text in node.input] for node in meta.graph_def.node
    }
    for name, signature in meta.signature_def.items():
        waiting = [tensor.name.partition(":")[0] for tensor in signature.outputs.values()]
        seen: set[str] = set()
        while waiting:
            here = waiting.pop()
            if here in saver:
                yield f"signature {name!r:.60} opens files"
                return
            if here not in seen:
                seen.add(here)
                waiting += inputs.get(here, [])


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """Names of the functions that nodes call, or hold in a list."""
    for node in nodes:
        for value in node.attr.values():
            if value.func.name:
                yield value.func.name
            yield from (function.name for function in value.list.func)
