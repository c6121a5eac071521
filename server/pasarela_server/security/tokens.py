"""Bearer tokens: which there are, and what each of them allows. Only their hashes are kept."""

from __future__ import annotations

import enum
import hashlib
import hmac
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pasarela_server.security.files import UnusableFile, read_file

TOKENS_FLAG = "--auth-tokens-file"

_log = logging.getLogger("pasarela_server.security")

_HASHED = "sha256:"
_HASH = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_ALL = "all"
_SHORT_CHARS = 16


class Group(enum.Enum):
    """Calls that belong together; the value is its name in the file of tokens."""

    INFERENCE = "inference"
    CONTROL = "control"
    OBSERVABILITY = "observability"


@dataclass(frozen=True, slots=True)
class TokenLine:
    """One token."""

    digest: bytes
    """SHA-256 of it."""
    groups: frozenset[Group]


class Tokens:
    """All tokens that are taken."""

    def __init__(self, lines: Iterable[TokenLine]) -> None:
        self._lines = tuple(lines)

    def __len__(self) -> int:
        return len(self._lines)

    def allowed(self, token: str) -> frozenset[Group]:
        """What a token allows; nothing, if there is no such token.

        How long this takes tells nothing of the tokens: it is compared with each of them, as hashes.
        """
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        allowed: frozenset[Group] = frozenset()
        for line in self._lines:
            if hmac.compare_digest(line.digest, digest):
                allowed = line.groups
        return allowed


def load_tokens(path: Path, *, quiet: bool = False) -> Tokens:
    """Reads a file of tokens: lines of groups and a token, as `inference,observability TOKEN`.

    Groups are named with commas between them; `all` is all of them. A token may be written as `sha256:` and its hash.
    Empty lines, and what begins with #, are passed over. Tokens that can be guessed are a warning.

    Args:
        path: The file.
        quiet: Warns of nothing.

    Raises:
        UnusableFile: It cannot be read, a line is wrong, or there is no token. No message shows what a line holds.
    """
    try:
        text = read_file(TOKENS_FLAG, path).decode()
    except UnicodeDecodeError as error:
        raise UnusableFile(TOKENS_FLAG, path, "it is not UTF-8") from error
    lines: dict[bytes, tuple[int, TokenLine]] = {}
    for number, written in enumerate(text.splitlines(), 1):
        if not _is_line(written):
            continue
        try:
            line = _line(written)
        except ValueError as error:
            raise UnusableFile(TOKENS_FLAG, path, f"line {number}: {error}") from None
        if line.digest in lines:
            raise UnusableFile(TOKENS_FLAG, path, f"line {number} repeats the token of line {lines[line.digest][0]}")
        lines[line.digest] = (number, line)
    if not lines:
        raise UnusableFile(TOKENS_FLAG, path, "it holds no token; write a line like: inference TOKEN")
    if not quiet:
        _warn_of_short_ones(path, text)
    return Tokens(line for _, line in lines.values())


def _warn_of_short_ones(path: Path, text: str) -> None:
    tokens = (
        (number, written.split()[-1:]) for number, written in enumerate(text.splitlines(), 1) if _is_line(written)
    )
    short = [number for number, (token,) in tokens if len(token) < _SHORT_CHARS]
    if short:
        _log.warning(
            "%s %s: tokens short enough to be guessed: %s; openssl rand -hex 32 makes a good one",
            TOKENS_FLAG,
            path,
            ", ".join(f"line {number}" for number in short),
        )


def _is_line(written: str) -> bool:
    return bool(written.strip()) and not written.lstrip().startswith("#")


def _line(written: str) -> TokenLine:
    words = written.split()
    if len(words) != 2:
        raise ValueError("expected two words, groups and a token, like: inference,observability TOKEN")
    named, token = words
    return TokenLine(_digest(token), frozenset(group for name in named.split(",") for group in _groups(name)))


def _groups(name: str) -> Iterable[Group]:
    if name.lower() == _ALL:
        return Group
    try:
        return (Group(name.lower()),)
    except ValueError:
        known = ", ".join(group.value for group in Group)
        raise ValueError(f"its first word names a group that there is not; known: {known}, {_ALL}") from None


def _digest(token: str) -> bytes:
    if token.startswith(_HASHED):
        written = token.removeprefix(_HASHED).lower()
        if _HASH.fullmatch(written) is None:
            raise ValueError(f"expected 64 hexadecimal digits after {_HASHED}")
        return bytes.fromhex(written)
    if _TOKEN.fullmatch(token) is None:
        raise ValueError("a token is made of visible ASCII characters, 4096 at most")
    return hashlib.sha256(token.encode()).digest()
