"""Restricted protocols as they are written, and what is no such thing."""

from __future__ import annotations

import pytest

from pasarela_server.config.command_line import parse_command_line
from pasarela_server.config.restricted import PROTOCOLS, RestrictedProtocols, restricted_protocols

READ = [
    # text, what it means, reason
    ("trace:admin-key=admin-value", [(("trace",), "admin-key", "admin-value")], "as in Triton's documentation"),
    ("health,inference:k=v", [(("health", "inference"), "k", "v")], "several protocols"),
    ("health:a=1,trace,logging:b=2", [(("health",), "a", "1"), (("trace", "logging"), "b", "2")],
     "several of them, as flags that are given twice are put together"),
    (" health , trace : Key = a value ", [(("health", "trace"), "key", "a value")],
     "spaces around; metadata have small letters"),
    ("health:k==/:=", [(("health",), "k", "=/:=")], "signs within a value"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), [pytest.param(*row[:2], id=row[2]) for row in READ])
def test_what_is_read(text: str, meant: list[tuple[tuple[str, ...], str, str]]) -> None:
    assert restricted_protocols(text) == tuple(RestrictedProtocols(*each) for each in meant)


WRONG = [
    # text, words of the message, reason
    ("", "expected <protocol>,<protocol>:<key>=<value>", "nothing"),
    ("trace", "expected <protocol>", "no key"),
    ("trace:k", "expected <protocol>", "no value"),
    ("trace:k=", "expected <protocol>", "an empty value"),
    ("trace:=s3cret", "a key is made of letters", "an empty key"),
    ("trace:my key=s3cret", "a key is made of letters", "a key that is no name of metadata"),
    ("trace:k-bin=s3cret", "does not end with -bin", "such metadata are bytes, and never equal"),
    ("trace:k=s3crét", "a value of ASCII", "metadata cannot carry it"),
    ("trace:k=s3cret,s3cret", "a value holds no comma", "a comma begins the next protocol"),
    ("training:k=s3cret", "protocol 1 is unknown; known: health, metadata", "unknown"),
    ("s3cret:k=trace", "protocol 1 is unknown", "the words exchanged: the message shows none of them"),
    ("trace,trace:k=s3cret", "protocol trace is restricted twice", "twice in one"),
    ("trace:k=s3cret,trace:l=s3cret", "protocol trace is restricted twice", "twice in two, as Triton refuses it"),
]


@pytest.mark.parametrize(("text", "words"), [pytest.param(*row[:2], id=row[2]) for row in WRONG])
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        restricted_protocols(text)
    assert words in str(refused.value)
    assert "s3cr" not in str(refused.value)


def test_the_flag_may_be_given_more_than_once_and_the_value_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model-repository", "models", "--grpc-restricted-protocol=health:k=s3cret"]
    config = parse_command_line([*given, "--grpc-restricted-protocol", "trace:k=s3cret"], {})
    assert [each.protocols for each in config.grpc_restricted_protocol] == [("health",), ("trace",)]
    assert "s3cret" not in repr(config)
    with pytest.raises(SystemExit):
        parse_command_line([*given, "--grpc-restricted-protocol", "health:k=s3cret"], {})
    assert capsys.readouterr().err == (
        "pasarela-server: error: --grpc-restricted-protocol: protocol health is restricted twice\n"
    )


def test_protocols_are_tritons() -> None:
    assert len(PROTOCOLS) == len(set(PROTOCOLS)) == 9
