"""The look of the log."""

import json
import logging
import os
import re
import sys
import threading

import pytest

from pasarela_server.observability.logging import (
    LogControl,
    LogFormat,
    LogSettings,
    configure_logging,
    fields,
    log_settings,
    log_uncaught,
)


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
    configure_logging(LogSettings(verbose_level=verbosity))
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


def written(capsys, settings):
    configure_logging()
    control = LogControl()
    control.change(settings)
    assert control.settings == settings
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("pasarela_server.rpc"), level)("model m")
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(LogSettings(), ["INFO", "WARNING", "ERROR"], id="as it was"),
        pytest.param(LogSettings(info=False), ["WARNING", "ERROR"], id="no info"),
        pytest.param(LogSettings(warning=False), ["INFO", "ERROR"], id="no warnings"),
        pytest.param(LogSettings(error=False), ["INFO", "WARNING"], id="no errors"),
        pytest.param(LogSettings(verbose_level=2), ["DEBUG", "INFO", "WARNING", "ERROR"], id="verbose"),
        pytest.param(
            LogSettings(verbose_level=1, info=False, warning=False, error=False), ["DEBUG"], id="verbose alone"
        ),
    ],
)
def test_each_kind_of_line_has_a_switch(settings, expected, capsys):
    assert [line.split()[2] for line in written(capsys, settings)] == expected


def test_the_standards_format(capsys):
    line = written(capsys, LogSettings(format=LogFormat.ISO8601))[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    model m", line)


def test_a_control_changes_nothing_by_itself_and_leaves_other_handlers_alone():
    root = logging.getLogger()
    other = logging.NullHandler()
    root.addHandler(other)
    before = list(root.handlers)
    LogControl(LogSettings(verbose_level=3))
    assert root.handlers == before
    LogControl().change(LogSettings(info=False))
    assert root.handlers == before


def written_as_json(capsys, log):
    configure_logging(LogSettings(format=LogFormat.JSON, verbose_level=1))
    log(logging.getLogger("pasarela_server.rpc"))
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_a_json_object(capsys):
    (line,) = written_as_json(
        capsys, lambda log: log.warning("model %s", "m\nn", extra=fields(model="m", stages_ms={"infer": 1.5}))
    )
    moment = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment)
    assert line == {
        "level": "WARNING",
        "logger": "pasarela_server.rpc",
        "message": "model m\nn",
        "model": "m",
        "stages_ms": {"infer": 1.5},
    }


def test_an_exception_is_a_field(capsys):
    def fail(log):
        try:
            {}["bug"]
        except KeyError:
            log.exception("it failed")

    (line,) = written_as_json(capsys, fail)
    assert line["exception"].endswith("KeyError: 'bug'")


def test_a_value_that_json_has_not_is_a_text(capsys):
    (line,) = written_as_json(capsys, lambda log: log.info("x", extra=fields(when=complex(1))))
    assert line["when"] == "(1+0j)"


@pytest.mark.parametrize("log_format", [LogFormat.DEFAULT, LogFormat.ISO8601])
def test_what_a_client_writes_cannot_begin_another_line(capsys, log_format):
    configure_logging(LogSettings(format=log_format))
    logging.getLogger("pasarela_server").info("request '%s'", "r\n2026-01-01 ERROR all is lost\x1b[2J\u2028é")
    (line,) = capsys.readouterr().err.split("\n")[:-1]
    assert line.endswith(r"request 'r\n2026-01-01 ERROR all is lost\x1b[2J\u2028é'")


@pytest.mark.parametrize(
    "settings", [LogSettings(), LogSettings(info=False, verbose_level=2, format=LogFormat.JSON)], ids=["usual", "other"]
)
def test_settings_travel_between_processes(settings):
    assert LogSettings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize(
    ("name", "log_format"),
    [
        ("default", LogFormat.DEFAULT),
        ("text", LogFormat.DEFAULT),
        ("iso8601", LogFormat.ISO8601),
        ("json", LogFormat.JSON),
    ],
)
def test_a_format_has_the_name_of_its_flag(name, log_format):
    assert log_settings(1, name) == LogSettings(verbose_level=1, format=log_format)


@pytest.fixture
def hooks_as_they_were(monkeypatch):
    for module in (sys, threading):
        monkeypatch.setattr(module, "excepthook", module.excepthook)
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    yield
    logging.captureWarnings(False)


@pytest.mark.parametrize(("log_format", "silenced"), [(LogFormat.JSON, "NONE"), (LogFormat.DEFAULT, None)])
def test_what_nobody_caught_is_an_event(capsys, hooks_as_they_were, log_format, silenced):
    configure_logging(LogSettings(format=log_format))
    log_uncaught()
    thread = threading.Thread(target=lambda: {}["bug"], name="instance-m")
    thread.start()
    thread.join()
    try:
        [].pop()
    except IndexError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    text = capsys.readouterr().err
    assert os.environ.get("GRPC_VERBOSITY") == silenced
    assert "thread 'instance-m' ended unexpectedly" in text
    assert "the process ends unexpectedly" in text
    if log_format is LogFormat.JSON:
        thread_line, process_line = map(json.loads, text.splitlines())
        assert (thread_line["level"], thread_line["thread"]) == ("CRITICAL", "instance-m")
        assert process_line["exception"].endswith("IndexError: pop from empty list")
