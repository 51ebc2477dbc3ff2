"""Where the values to count lie in a logged request, as expressions of SQL.

Only what the model file has checked enters a text: names of columns and paths. Everything else is a parameter.
"""

from collections.abc import Iterator, Sequence

from monitoring.baseline import PREDICTION, Definition, Definitions
from retraining.modelspec import Feature, ModelSpec
from retraining.series import NO_SCRIPT, SCRIPTS, WORD, Series, letters, series

_SCORES = {"binary": "$.score", "regression": "$.value"}
_CLASS = (
    "(SELECT class FROM UNNEST(JSON_VALUE_ARRAY(response, '$.classes')) AS class WITH OFFSET AS a "
    "JOIN UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS score WITH OFFSET AS b ON a = b "
    "ORDER BY SAFE_CAST(score AS FLOAT64) DESC, a LIMIT 1)"
)
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_INDENT = "\n          "


def watched(spec: ModelSpec, definitions: Definitions) -> list[tuple[Series | None, Definition]]:
    """What is counted by its own value, in the definitions' order; None stands for the prediction."""
    known = {one.name: one for name, feature in spec.features.items() for one in series(name, feature)}
    return [(known.get(name), one) for name, one in definitions.features.items() if one.kind != "pair"]


def payload(spec: ModelSpec) -> str:
    """What a whole instance is: an object or, where all paths begin with a place, a list."""
    return "array" if all(feature.path.startswith("[") for feature in spec.features.values()) else "object"


def known_names(spec: ModelSpec) -> list[str]:
    """What an instance may hold at its top."""
    of_features = [(feature.path or name).split(".")[0].split("[")[0] for name, feature in spec.features.items()]
    return list(dict.fromkeys([spec.source.key, spec.source.timestamp, *of_features]))


def inputs(spec: ModelSpec, definitions: Definitions) -> str:
    """The raw values as an array of texts: one per feature that is counted, the prediction, and the key last."""
    found = [_scalar(name, spec.features[name]) for name in _features(spec, definitions)]
    return _array([*found, _prediction(spec), f"JSON_VALUE(request, '$.{spec.source.key}')"])


def values(spec: ModelSpec, definitions: Definitions, vocabulary: int) -> str:
    """The values of all series as an array of text and whether it cannot be read.

    ``vocabulary`` is the place in @vocabularies of the list for this model's first text.
    """
    names = _features(spec, definitions)
    texts = [name for name in names if spec.features[name].type == "text"]
    return _array(list(_structs(spec, definitions, names, {t: vocabulary + i for i, t in enumerate(texts)})))


def _structs(
    spec: ModelSpec, definitions: Definitions, names: Sequence[str], vocabularies: dict[str, int]
) -> Iterator[str]:
    for one, definition in watched(spec, definitions):
        if one is None or definition.name == PREDICTION:
            yield f"STRUCT(inputs[OFFSET({len(names)})] AS text, is_unreadable AS is_broken)"
            continue
        raw = f"inputs[OFFSET({names.index(one.feature)})]"
        text, broken = _derived(one, raw, vocabularies.get(one.feature, 0))
        yield f"STRUCT({text} AS text, {broken} AS is_broken)"


def _features(spec: ModelSpec, definitions: Definitions) -> list[str]:
    counted = {one.feature for one, _ in watched(spec, definitions) if one is not None}
    return [name for name in spec.features if name in counted]


def texts(spec: ModelSpec, definitions: Definitions) -> list[tuple[str, ...]]:
    """The vocabulary of each text that is counted, in the order that ``values`` expects."""
    counted = _features(spec, definitions)
    return [definitions.vocabularies.get(name, ()) for name in counted if spec.features[name].type == "text"]


def _array(items: Sequence[str]) -> str:
    return f"[{_INDENT}" + f",{_INDENT}".join(items) + "\n        ]"


def _scalar(name: str, feature: Feature) -> str:
    """A feature's value as text; a list or an object stays visible as its JSON."""
    at = feature.path or name
    path = f"request, '${at}'" if at.startswith("[") else f"request, '$.{at}'"
    value = f"COALESCE(JSON_VALUE({path}), NULLIF(TO_JSON_STRING(JSON_QUERY({path})), 'null'))"
    if feature.type != "boolean":
        return value
    return f"CASE LOWER({value}) WHEN '1' THEN 'true' WHEN '0' THEN 'false' ELSE LOWER({value}) END"


def _prediction(spec: ModelSpec) -> str:
    if spec.training.task == "multiclass":
        return _CLASS
    return f"JSON_VALUE(response, '{_SCORES[spec.training.task]}')"


def _derived(one: Series, raw: str, vocabulary: int) -> tuple[str, str]:
    """A series' value as text, and whether it cannot be read."""
    if one.what == "value":
        return raw, "is_broken"
    if one.what == "length":
        return f"CAST(NULLIF(LENGTH({raw}), 0) AS STRING)", "is_broken"
    if one.what == "script":
        return _script(raw), "is_broken"
    if one.what == "tokens":
        return _tokens(raw, vocabulary), "is_broken"
    time = f"SAFE_CAST({raw} AS TIMESTAMP)"
    broken = f"is_broken OR (NULLIF({raw}, '') IS NOT NULL AND {time} IS NULL)"
    if one.what == "hour":
        return f"CAST(EXTRACT(HOUR FROM {time}) AS STRING)", broken
    if one.what == "weekday":
        return f"CAST(MOD(EXTRACT(DAYOFWEEK FROM {time}) + 5, 7) + 1 AS STRING)", broken
    return f"CAST(DIV((UNIX_MICROS(logging_time) - UNIX_MICROS({time})), 1000000) AS STRING)", broken


def _script(raw: str) -> str:
    counts = ", ".join(
        f"STRUCT({place} AS place, '{name}' AS script, "
        f"LENGTH({raw}) - LENGTH(REGEXP_REPLACE({raw}, r'{letters(ranges)}', '')) AS n)"
        for place, (name, ranges) in enumerate(SCRIPTS.items())
    )
    # Every name in these two texts is written here or in this package.
    most = f"(SELECT script FROM UNNEST([{counts}]) WHERE n > 0 ORDER BY n DESC, place LIMIT 1)"  # noqa: S608
    return f"IF(NULLIF({raw}, '') IS NULL, NULL, COALESCE({most}, '{NO_SCRIPT}'))"


def _tokens(raw: str, vocabulary: int) -> str:
    words = f"REGEXP_EXTRACT_ALL(TRANSLATE({raw}, '{_UPPER}', '{_UPPER.lower()}'), r'{WORD}')"
    known = f"word IN UNNEST(JSON_VALUE_ARRAY(@vocabularies, '$[{vocabulary}]'))"
    share = f"CAST(DIV(100 * COUNTIF(NOT {known}), NULLIF(COUNT(*), 0)) AS STRING)"
    return f"(SELECT {share} FROM UNNEST({words}) AS word)"  # noqa: S608


def subject_json(spec: ModelSpec, deployed_id: str, definitions: Definitions) -> dict[str, object]:
    """One deployed model, its cells and pairs, for the parameter @subjects."""
    counted = [definition for _, definition in watched(spec, definitions)]
    place = {one.name: at for at, one in enumerate(counted)}
    pairs = [one for one in definitions.features.values() if one.kind == "pair" and one.of]
    return {
        "model": spec.name,
        "deployed_model_id": deployed_id,
        "baseline_id": definitions.baseline_id,
        "payload": payload(spec),
        "names": known_names(spec),
        "sampling_rate": spec.log.sampling_rate,
        "series": [_series_json(one) for one in counted],
        "pairs": [
            {
                "place": len(counted) + at,
                "name": one.name,
                "first": place[one.of[0]],
                "second": place[one.of[1]],
                "first_quarters": one.quarters[0],
                "second_quarters": one.quarters[1],
            }
            for at, one in enumerate(pairs)
            if one.of is not None
        ],
    }


def _series_json(one: Definition) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": one.kind,
        "cells": one.cells,
        "complete": one.complete,
        "edges": one.edges,
        "values": sorted(one.values),
        "low": one.low if not one.values else None,
        "high": one.high if not one.values else None,
        "categories": (*one.categories, *one.others),
    }
