"""The file of tokens: what it may hold, what each token allows, and that nothing of it is ever shown."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasarela_server.security.files import UnusableFile, warn_if_open
from pasarela_server.security.tokens import Group, TokenLine, Tokens, load_tokens

SECRET = "9f1c" * 8
HASH = hashlib.sha256(SECRET.encode()).hexdigest()


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str | bytes) -> Path:
        path = tmp_path / "tokens"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


ALLOWED = [
    # line, what its token allows, reason
    (f"inference {SECRET}", {Group.INFERENCE}, "one group"),
    (f"control,observability {SECRET}", {Group.CONTROL, Group.OBSERVABILITY}, "two"),
    (f"all {SECRET}", set(Group), "each of them"),
    (f"  Inference,INFERENCE\t{SECRET}  \r", {Group.INFERENCE}, "as people and other systems write"),
    (f"inference sha256:{HASH}", {Group.INFERENCE}, "by its hash"),
    (f"inference sha256:{HASH.upper()}", {Group.INFERENCE}, "as some programs print hashes"),
    (f"# tokens\n\n   # of mine\ncontrol {'x' * 20}\ninference {SECRET}", {Group.INFERENCE}, "remarks and empty lines"),
]


@pytest.mark.parametrize(("text", "groups"), [pytest.param(*row[:2], id=row[2]) for row in ALLOWED])
def test_what_a_token_allows(write, text: str, groups: set[Group]) -> None:
    tokens = load_tokens(write(text))
    assert tokens.allowed(SECRET) == groups
    for other in ("", SECRET[:-1], SECRET + "x", SECRET.upper(), f"sha256:{HASH}", "ÿ", "\udcff"):
        assert tokens.allowed(other) == set()


REFUSED = [
    # content, words of the message, reason
    (f"inference,{SECRET}", "line 1: expected two words", "one word"),
    (f"\ninference {SECRET} # mine", "line 2: expected two words", "a remark behind it would be part of nothing"),
    (f"{SECRET} inference", "line 1: its first word names a group that there is not; known: inference, control",
     "the words exchanged: the token is not repeated in the message"),
    (f"inference, {SECRET}", "line 1: its first word names a group", "a space in the list"),
    (f"inference sha256:{HASH[1:]}", "line 1: expected 64 hexadecimal digits", "a hash that is cut short"),
    (f"inference {SECRET}ü", "line 1: a token is made of visible ASCII", "metadata of gRPC cannot carry it"),
    (f"inference {'x' * 4097}", "line 1: a token is made of visible ASCII characters, 4096 at most", "longer than metadata"),
    (f"inference {SECRET}\ncontrol sha256:{HASH}", "line 2 repeats the token of line 1", "which of both would hold?"),
    ("# nothing\n", "it holds no token", "nobody could call"),
    ("", "it is empty", "written, not yet filled"),
    (b"inference \xff\xfe", "it is not UTF-8", "another kind of file"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), [pytest.param(*row[:2], id=row[2]) for row in REFUSED])
def test_what_is_no_file_of_tokens(write, content: str | bytes, words: str) -> None:
    path = write(content)
    with pytest.raises(UnusableFile) as refused:
        load_tokens(path)
    assert str(refused.value).startswith(f"--auth-tokens-file {path}: ")
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)
    assert HASH[1:] not in str(refused.value)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnusableFile, match="it is no file that can be read again and again"):
        load_tokens(tmp_path / "pipe")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file or directory"):
        load_tokens(tmp_path / "absent")


def test_a_token_that_can_be_guessed_is_warned_of_without_telling_it(write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(f"inference {SECRET}\n# and\n\ninference opensesame\nall sha256:{'0' * 64}\ncontrol x")
    tokens = load_tokens(path)
    (record,) = caplog.records
    assert (record.levelno, "guessed: line 4, line 6;" in record.getMessage()) == (logging.WARNING, True)
    assert "opensesame" not in record.getMessage()
    load_tokens(path, quiet=True)
    path.write_text("inference opensesame\nwrong")
    with pytest.raises(UnusableFile):
        load_tokens(path)
    assert caplog.records == [record], "what is refused is not warned of, too"
    assert tokens.allowed("opensesame") == {Group.INFERENCE}


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_file_that_everybody_may_read_is_warned_of(
    write, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    path = write(f"inference {SECRET}")
    path.chmod(mode)
    warn_if_open("--auth-tokens-file", path)
    assert [record.getMessage() for record in caplog.records] == (
        [f"--auth-tokens-file {path} may be read by every user of this machine; chmod 600 it"] if warned else []
    )


visible = st.text(string.ascii_letters + string.digits + "-._~+/=", min_size=1, max_size=60)


@given(st.dictionaries(visible, st.frozensets(st.sampled_from(Group), min_size=1), min_size=1), visible)
def test_a_token_allows_what_its_line_says_and_any_other_nothing(
    written: dict[str, frozenset[Group]], other: str
) -> None:
    tokens = Tokens(TokenLine(hashlib.sha256(token.encode()).digest(), groups) for token, groups in written.items())
    assert {token: tokens.allowed(token) for token in written} == written
    assert tokens.allowed(other) == written.get(other, frozenset())
    assert len(tokens) == len(written)


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """However early one fits: else the time that it takes would tell of the order, and of the bytes."""
    compared = []
    compare = hmac.compare_digest

    def counting(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    tokens = Tokens(TokenLine(hashlib.sha256(bytes([n])).digest(), frozenset(Group)) for n in range(5))
    assert tokens.allowed("\x00") == set(Group)
    assert compared == [(32, 32)] * 5
