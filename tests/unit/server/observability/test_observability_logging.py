"""The look of the log."""

import logging

import pytest

from pasarela_server.observability.logging import configure_logging


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root, own = logging.getLogger(), logging.getLogger("pasarela_server")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


@pytest.mark.parametrize(("verbosity", "expected"), [(0, ["INFO", "WARNING"]), (1, ["DEBUG", "INFO", "WARNING"])])
def test_verbosity(verbosity, expected, capsys):
    configure_logging(verbosity)
    logging.getLogger("pasarela_server.rpc").debug("model m")
    logging.getLogger("pasarela_server.rpc").info("model m")
    logging.getLogger("other").info("noise of a library")
    logging.getLogger("other").warning("a library's warning")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split()[2] for line in captured.err.splitlines()] == expected


def test_configuring_twice_writes_each_line_once(capsys):
    configure_logging()
    configure_logging()
    logging.getLogger("pasarela_server").info("once")
    assert capsys.readouterr().err.count("once") == 1
