"""The filter language of subscriptions: which attributes a message must carry to be delivered.

    filter     = term { AND term } | term { OR term }
    term       = [ NOT | - ] ( "(" filter ")" | comparison )
    comparison = attributes : KEY
               | attributes . KEY ( = | != ) "value"
               | hasPrefix ( attributes . KEY , "value" )

AND and OR may be mixed only with parentheses. A key is a word of letters, digits, ``-`` and ``_``, or a quoted
string. ``!=`` is the contrary of ``=``: it also matches a message that lacks the key.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.servers.rpc import RpcError, invalid

Filter = Callable[[Mapping[str, str]], bool]
"""Says whether a message with these attributes is delivered."""

MAX_BYTES = 256

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<word>[A-Za-z0-9_][A-Za-z0-9_-]*)
      | (?P<mark>!=|[=:.,()\-])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)")
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def compile_filter(text: str) -> Filter:
    """Read a filter; the empty one lets everything through. Raises RpcError INVALID_ARGUMENT that says where."""
    if not text.strip():
        return lambda _attributes: True
    if len(text.encode()) > MAX_BYTES:
        raise invalid(f"filter: expected at most {MAX_BYTES} bytes, got {len(text.encode())}")
    parser = _Parser(text)
    found = parser.filter()
    parser.end()
    return found


def _tokens(text: str) -> list[_Token]:
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise invalid(f"filter {text!r}: unexpected {text[position:].strip()[:1]!r} at {position}")
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0

    def filter(self) -> Filter:
        """One filter, up to its end or a closing parenthesis."""
        terms = [self._term()]
        joiner = self._peek()
        if joiner not in ("AND", "OR"):
            return terms[0]
        while self._accept(joiner):
            terms.append(self._term())
        if self._peek() in ("AND", "OR"):
            raise self._unexpected("parentheses where AND and OR are mixed")
        if joiner == "AND":
            return lambda attributes: all(term(attributes) for term in terms)
        return lambda attributes: any(term(attributes) for term in terms)

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise self._unexpected("AND, OR or the end")

    def _term(self) -> Filter:
        if self._accept("NOT") or self._accept("-"):
            inner = self._term()
            return lambda attributes: not inner(attributes)
        if self._accept("("):
            inner = self.filter()
            self._expect(")")
            return inner
        if self._accept("hasPrefix"):
            return self._has_prefix()
        self._expect("attributes")
        return self._comparison()

    def _comparison(self) -> Filter:
        if self._accept(":"):
            wanted = self._key()
            return lambda attributes: wanted in attributes
        self._expect(".")
        key = self._key()
        if self._accept("="):
            value = self._string()
            return lambda attributes: attributes.get(key) == value
        self._expect("!=")
        value = self._string()
        return lambda attributes: attributes.get(key) != value

    def _has_prefix(self) -> Filter:
        self._expect("(")
        self._expect("attributes")
        self._expect(".")
        key = self._key()
        self._expect(",")
        prefix = self._string()
        self._expect(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _key(self) -> str:
        token = self._next("a key")
        if token.kind == "mark":
            raise self._unexpected("a key", back=1)
        return _unquote(token.text) if token.kind == "string" else token.text

    def _string(self) -> str:
        token = self._next("a quoted string")
        if token.kind != "string":
            raise self._unexpected("a quoted string", back=1)
        return _unquote(token.text)

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _accept(self, text: str) -> bool:
        # A string keeps its quotes, so it is never taken for a word.
        if self._peek() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected(repr(text))

    def _next(self, wanted: str) -> _Token:
        if self._at >= len(self._tokens):
            raise self._unexpected(wanted)
        self._at += 1
        return self._tokens[self._at - 1]

    def _unexpected(self, wanted: str, back: int = 0) -> RpcError:
        at = self._at - back
        if at >= len(self._tokens):
            return invalid(f"filter {self._text!r}: expected {wanted}, but it ends there")
        token = self._tokens[at]
        return invalid(f"filter {self._text!r}: expected {wanted}, got {token.text!r} at {token.position}")


def _unquote(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 1:
            return _SHORT_ESCAPES.get(code, code)
        return chr(int(code[1:], 16) if code[0] in "xu" else int(code, 8))

    return _ESCAPE.sub(char, text[1:-1])
