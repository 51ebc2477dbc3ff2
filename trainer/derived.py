"""What is watched of texts and times, computed of the training rows as the monitor computes it of the log."""

from collections import Counter

import numpy as np

from retraining.series import MIN_TOKEN_COUNT, VOCABULARY, Series, script, tokens, unknown

_SECOND = np.timedelta64(1, "s")


def vocabulary(texts: np.ndarray) -> tuple[str, ...]:
    """The most frequent tokens of a column of texts, in alphabetical order."""
    found = Counter(token for text in texts.tolist() for token in tokens(text))
    frequent = [(-count, token) for token, count in found.items() if count >= MIN_TOKEN_COUNT]
    return tuple(sorted(token for _, token in sorted(frequent)[:VOCABULARY]))


def derived(one: Series, column: np.ndarray, asked: np.ndarray, known: tuple[str, ...]) -> np.ndarray:
    """The series' values [n]: float64 (NaN is missing) or str ("" is missing).

    ``column`` holds texts or datetime64[us]; ``asked`` when each row happened, for ages; ``known`` the vocabulary.
    """
    if one.what in ("length", "script", "tokens"):
        return _of_text(one, column, known)
    missing = np.isnat(column)
    if one.what == "age":
        gap = (asked - column).astype("m8[us]")
        return np.where(missing | np.isnat(asked), np.nan, np.trunc(gap / _SECOND))
    hours = column.astype("M8[h]").astype(np.int64)
    whole = hours % 24 if one.what == "hour" else (hours // 24 + 3) % 7 + 1  # 1 January 1970 was a Thursday
    return np.where(missing, "", whole.astype(str)).astype(object)


def _of_text(one: Series, texts: np.ndarray, known: tuple[str, ...]) -> np.ndarray:
    if one.what == "length":
        return np.array([len(text) or np.nan for text in texts.tolist()], dtype=np.float64)
    if one.what == "script":
        return np.array([script(text) if text else "" for text in texts.tolist()], dtype=object)
    words = frozenset(known)
    shares = (unknown(tokens(text), words) for text in texts.tolist())
    return np.array([np.nan if share is None else share for share in shares], dtype=np.float64)
