"""Settings: which source wins, what each takes, and what a person reads when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasarela_server.config.command_line import parse_command_line
from pasarela_server.config.server import (
    InvalidSetting,
    ServerConfig,
    default_cache,
    flag,
    resolve,
    settings,
    variable,
)

HERE = Path("models")


def test_the_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"PASARELA_GRPC_PORT": "9001", "PASARELA_METRICS_PORT": "9002", "PASARELA_MODEL_REPOSITORY": "models"}

    config = parse_command_line(["--grpc-port=7001"], environment)

    assert (config.grpc_port, config.metrics_port, config.exit_timeout_secs) == (7001, 9002, 30)
    assert config.model_repository == HERE


def test_defaults_are_those_of_tritonserver() -> None:
    config = ServerConfig(model_repository=HERE)

    assert (config.grpc_address, config.grpc_port, config.metrics_port) == ("0.0.0.0", 8001, 8002)
    assert config.strict_readiness
    assert config.allow_metrics
    assert config.cpu_threads >= 1


def test_the_metrics_listen_where_grpc_does_unless_told_otherwise() -> None:
    environment = {"PASARELA_MODEL_REPOSITORY": "models"}

    followed = parse_command_line(["--grpc-address", "127.0.0.1"], environment)
    told = parse_command_line(["--grpc-address", "127.0.0.1", "--metrics-address", "::1"], environment)

    assert (followed.metrics_address, told.metrics_address) == ("127.0.0.1", "::1")


def test_the_default_repository_is_taken_only_if_it_is_there(tmp_path: Path) -> None:
    assert resolve({}, {}, default_repository=tmp_path).model_repository == tmp_path
    with pytest.raises(InvalidSetting, match="--model-repository PATH or PASARELA_MODEL_REPOSITORY"):
        resolve({}, {}, default_repository=tmp_path / "absent")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], True, id="left out: the default"),
        pytest.param(["--allow-metrics"], True, id="bare: on"),
        pytest.param(["--allow-metrics=false"], False, id="as tritonserver's users write it"),
        pytest.param(["--allow-metrics", "0"], False, id="with a space"),
        pytest.param(["--allow-metrics", "Off"], False, id="in any case of letters"),
    ],
)
def test_switches(arguments: list[str], expected: bool) -> None:
    assert parse_command_line(["--model-repository", "models", *arguments], {}).allow_metrics is expected


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        pytest.param(
            ["--grpc-port", "x"], {}, "--grpc-port: expected a whole number from 0 to 65535, got 'x'", id="flag"
        ),
        pytest.param([], {"PASARELA_GRPC_PORT": "70000"}, "PASARELA_GRPC_PORT: expected a whole number", id="variable"),
        pytest.param(["--cpu-threads", "0"], {}, "--cpu-threads: expected a whole number from 1", id="below the least"),
        pytest.param(["--allow-metrics", "perhaps"], {}, "expected true or false, got 'perhaps'", id="switch"),
        pytest.param(["--grpc-address", "localhost:8001"], {}, "an address without a port", id="address with port"),
        pytest.param(["--model-repository", ""], {}, "--model-repository: expected a path", id="empty path"),
        pytest.param(["--grpc-prt", "1"], {}, "'--grpc-prt'; did you mean --grpc-port?", id="typo in a flag"),
        pytest.param(["--grpc-p", "1"], {}, "unknown argument '--grpc-p'", id="flags are not abbreviated"),
        pytest.param(["models"], {}, "unknown argument 'models'", id="no positional arguments"),
        pytest.param(["--grpc-port"], {}, "expected one argument", id="value left out"),
    ],
)
def test_a_wrong_setting_ends_with_code_2_and_one_line(
    arguments: list[str], environment: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_command_line(arguments, {"PASARELA_MODEL_REPOSITORY": "models", **environment})

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert expected in said
    assert said.startswith("pasarela-server: error: ")
    assert said.count("\n") == 1


def test_the_help_teaches_every_flag_its_variable_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--help"], {})

    said = capsys.readouterr().out
    assert ended.value.code == 0
    for setting in settings():
        assert flag(setting.name) in said
        assert f"[{variable(setting.name)}]" in said
    assert "(default: 8001)" in " ".join(said.split())


def test_an_empty_variable_counts_as_unset() -> None:
    config = parse_command_line([], {"PASARELA_MODEL_REPOSITORY": "models", "PASARELA_GRPC_PORT": ""})

    assert config.grpc_port == 8001


@pytest.mark.parametrize(
    ("said", "environment", "expected"),
    [
        ({"model_cache": "/srv/cache"}, {}, Path("/srv/cache")),  # reason: a folder
        ({"model_cache": "None"}, {}, None),  # reason: switched off
        ({}, {"PASARELA_MODEL_CACHE": "none"}, None),  # reason: by the environment
    ],
)
def test_the_model_cache(said: dict[str, str], environment: dict[str, str], expected: Path | None) -> None:
    assert resolve({"model_repository": "r", **said}, environment).model_cache == expected


@pytest.mark.parametrize(
    ("home", "cache", "expected"),
    [
        ("/home/a", None, Path("/home/a/.cache/pasarela")),  # reason: the usual place
        ("/home/a", "/fast", Path("/fast/pasarela")),  # reason: another place for all caches
        ("/home/a", "relative", Path("/home/a/.cache/pasarela")),  # reason: to be ignored, says the standard
    ],
)
def test_the_cache_of_who_says_nothing(
    home: str, cache: str | None, expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if cache is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert default_cache() == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),  # reason: as many as --cpu-threads
        ({"busy_cores": "3"}, 3),  # reason: another number
        ({"busy_cores": "0"}, 0),  # reason: no bound
    ],
)
def test_busy_cores(said: dict[str, str], expected: int | None) -> None:
    assert resolve({"model_repository": "r", **said}, {}).busy_cores == expected


TLS_WRONG = [
    # arguments, environment, message, reason
    (["--grpc-use-ssl"], {}, "--grpc-use-ssl needs --grpc-server-cert PATH or PASARELA_GRPC_SERVER_CERT", "no files"),
    (["--grpc-use-ssl=1", "--grpc-server-cert", "c"], {}, "--grpc-use-ssl needs --grpc-server-key", "no key"),
    (["--grpc-use-ssl-mutual", "--grpc-server-cert", "c", "--grpc-server-key", "k"], {},
     "--grpc-use-ssl-mutual needs --grpc-root-cert PATH or PASARELA_GRPC_ROOT_CERT", "mutual without authorities"),
    ([], {"PASARELA_GRPC_USE_SSL": "true", "PASARELA_GRPC_SERVER_CERT": "c"}, "--grpc-use-ssl needs --grpc-server-key",
     "asked for by the environment"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environment", "message"), [pytest.param(*row[:3], id=row[3]) for row in TLS_WRONG]
)
def test_tls_takes_its_files(
    arguments: list[str], environment: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_command_line(["--model-repository", "models", *arguments], environment)
    assert f"pasarela-server: error: {message}" in capsys.readouterr().err


def test_tls_as_tritonservers_users_write_it() -> None:
    config = parse_command_line(
        ["--grpc-use-ssl=1", "--grpc-use-ssl-mutual=1", "--grpc-server-cert=c", "--grpc-server-key=k",
         "--grpc-root-cert=r"], {"PASARELA_MODEL_REPOSITORY": "models", "PASARELA_AUTH_TOKENS_FILE": "t"}
    )  # fmt: skip
    assert config.grpc_use_ssl
    assert config.grpc_use_ssl_mutual
    assert (config.grpc_server_cert, config.grpc_server_key, config.grpc_root_cert, config.auth_tokens_file) == (
        Path("c"), Path("k"), Path("r"), Path("t"),
    )  # fmt: skip
