"""The server's settings: flags win over environment variables, and these over defaults.

The fields of `ServerConfig` are the one table from which flags, environment variables and help are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pasarela_server.config import values
from pasarela_server.config.cores import available_cores
from pasarela_server.config.restricted import PROTOCOLS, RestrictedProtocols, restricted_protocols
from pasarela_server.config.tracing import TraceConfig, trace_config

ENVIRONMENT_PREFIX = "PASARELA_"
DEFAULT_REPOSITORY = Path("model_repository")


class InvalidSetting(ValueError):
    """A flag or an environment variable has a value that it cannot take, or one that is needed is missing."""


def default_cache() -> Path | None:
    """The folder for what can be made again, of the user who runs the process; None if there is no home for it."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():  # others are to be ignored, says the standard that the variable is from
        return Path(given) / "pasarela"
    home = Path("~").expanduser()
    return home / ".cache" / "pasarela" if home.is_absolute() else None


def _says(read: Callable[[str], Any], value: str, help_text: str, *, secret: bool = False) -> Mapping[str, Any]:
    """What a field knows beside its type.

    Args:
        read: Reads its text.
        value: What stands for the value in the help.
        help_text: The help.
        secret: The text is shown to nobody.
    """
    return {"read": read, "value": value, "help": help_text, "secret": secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything that can be set about a server process. Flags are named as tritonserver's where it has one."""

    model_repository: Path = field(
        metadata=_says(
            values.folder, "PATH", "folder that holds the models (default: ./model_repository, if it is there)"
        )
    )
    allow_empty_repository: bool = field(
        default=False, metadata=_says(values.switch, "BOOL", "start, and be ready, with no model at all")
    )
    model_control_mode: str = field(
        default="none",
        metadata=_says(
            values.one_of("none", "explicit", "poll"),
            "MODE",
            "none: load everything at the start and change nothing; poll: follow what changes in the repository; "
            "explicit: load what --load-model names, then what clients ask for",
        ),
    )
    load_model: tuple[str, ...] = field(
        default=(),
        metadata=_says(
            values.names,
            "NAME",
            "with explicit: a model to load at the start; may be given more than once, * loads all of them",
        ),
    )
    repository_poll_secs: int = field(
        default=15,
        metadata=_says(values.whole_number(1), "SECONDS", "with poll: how often to look at the repository"),
    )
    repository_settle_secs: int = field(
        default=2,
        metadata=_says(
            values.whole_number(0),
            "SECONDS",
            "with poll: how long a version's files must have stayed the same before it counts",
        ),
    )
    grpc_address: str = field(
        default="0.0.0.0",  # noqa: S104 - as tritonserver does, and the help says it
        metadata=_says(
            values.address,
            "ADDRESS",
            "interface that gRPC listens on; 0.0.0.0 is all of them, as in tritonserver: "
            "set 127.0.0.1 to serve this machine only",
        ),
    )
    grpc_port: int = field(default=8001, metadata=_says(values.port, "PORT", "port for gRPC; 0 takes any free one"))
    grpc_max_message_bytes: int = field(
        default=128 * 2**20,
        metadata=_says(values.whole_number(1024, 2**31 - 1), "BYTES", "largest gRPC message that is taken or sent"),
    )
    grpc_use_ssl: bool = field(
        default=False,
        metadata=_says(
            values.switch,
            "BOOL",
            "speak TLS only, with --grpc-server-cert and --grpc-server-key; the files may be replaced while it runs",
        ),
    )
    grpc_use_ssl_mutual: bool = field(
        default=False,
        metadata=_says(
            values.switch,
            "BOOL",
            "speak TLS only, and take only clients that have a certificate of an authority in --grpc-root-cert",
        ),
    )
    grpc_server_cert: Path | None = field(
        default=None,
        metadata=_says(
            values.folder,
            "PATH",
            "with TLS: the server's certificate in PEM, followed by those between it and its authority",
        ),
    )
    grpc_server_key: Path | None = field(
        default=None, metadata=_says(values.folder, "PATH", "with TLS: the key of the certificate, in PEM")
    )
    grpc_root_cert: Path | None = field(
        default=None,
        metadata=_says(
            values.folder, "PATH", "with --grpc-use-ssl-mutual: the authorities whose clients are taken, in PEM"
        ),
    )
    auth_tokens_file: Path | None = field(
        default=None,
        metadata=_says(
            values.folder,
            "PATH",
            "ask for a bearer token that this file holds: lines of groups and a token, as 'inference,observability "
            "TOKEN'; groups are inference, control, observability, all; health asks for none",
        ),
    )
    grpc_restricted_protocol: tuple[RestrictedProtocols, ...] = field(
        default=(),
        metadata=_says(
            restricted_protocols,
            "PROTOCOLS:KEY=VALUE",
            "as tritonserver's: calls of these protocols need the metadata triton-grpc-protocol-KEY with this value; "
            f"may be given more than once; protocols are {', '.join(PROTOCOLS)}; on a command line every user of the "
            "machine can read it, so prefer the variable, or --auth-tokens-file",
            secret=True,
        ),
    )
    frontends: int | None = field(
        default=0,
        metadata=_says(
            values.whole_number_or_auto(0, 256),
            "COUNT",
            "processes that take gRPC calls and prepare images for the one that runs the models; 0: it does all that "
            "itself; auto: several where many cores feed a GPU, else 0",
        ),
    )
    allow_metrics: bool = field(
        default=True, metadata=_says(values.switch, "BOOL", "offer Prometheus metrics over HTTP")
    )
    metrics_address: str = field(
        default="",
        metadata=_says(values.address, "ADDRESS", "interface that the metrics listen on (default: that of gRPC)"),
    )
    metrics_port: int = field(
        default=8002, metadata=_says(values.port, "PORT", "port for the metrics; 0 takes any free one")
    )
    allow_shared_memory: bool = field(
        default=True,
        metadata=_says(
            values.switch,
            "BOOL",
            "let clients on this machine place tensors in shared memory; false refuses to register any",
        ),
    )
    trace_file: Path | None = field(
        default=None,
        metadata=_says(
            values.folder, "PATH", "file for the requests that TraceSetting asks to trace; without it none can be"
        ),
    )
    trace_config: TraceConfig | None = field(
        default=None,
        metadata=_says(
            trace_config,
            "SETTING=VALUE",
            "as tritonserver's, may be given more than once: mode=opentelemetry sends traces by OTLP over gRPC, to "
            "opentelemetry,url=http://HOST:PORT or where OpenTelemetry's own variables say; rate=N traces one of N "
            "requests (1000) beside those whose callers trace; level, count, triton,file, triton,log-frequency and "
            "opentelemetry,resource=KEY=VALUE are known, too",
        ),
    )
    strict_readiness: bool = field(
        default=True,
        metadata=_says(
            values.switch,
            "BOOL",
            "be ready only when every model is; false: be ready as soon as loading is over, whatever failed",
        ),
    )
    exit_timeout_secs: int = field(
        default=30,
        metadata=_says(values.whole_number(0), "SECONDS", "how long a stop waits for requests that still run"),
    )
    model_load_thread_count: int = field(
        default=4, metadata=_says(values.whole_number(1, 256), "COUNT", "models that are loaded at the same time")
    )
    cpu_threads: int = field(
        default_factory=available_cores,
        metadata=_says(
            values.whole_number(1, 4096),
            "COUNT",
            "cores to plan with, for models and for images (default: those that the process may use)",
        ),
    )
    busy_cores: int | None = field(
        default=None,
        metadata=_says(
            values.whole_number(0, 4096),
            "COUNT",
            "cores that the models on the CPU keep busy at the same time, all of them together (default: as many as "
            "--cpu-threads); 0: each model its own, whatever the others do",
        ),
    )
    model_cache: Path | None = field(
        default_factory=default_cache,
        metadata=_says(
            values.folder_or_none,
            "DIR",
            "folder for compiled models, which make the next start faster; none keeps nothing "
            "(default: pasarela in $XDG_CACHE_HOME, or in ~/.cache)",
        ),
    )
    isolation: str = field(
        default="none",
        metadata=_says(
            values.one_of("none", "process"),
            "MODE",
            "process: each raw model runs in a process of its own, which is started again when it dies, so that no "
            "request can end the server; none: all run in the server's process; config.pbtxt may say otherwise for "
            "a model (parameter isolation)",
        ),
    )
    inference_timeout_secs: int = field(
        default=0,
        metadata=_says(
            values.whole_number(0),
            "SECONDS",
            "how long one inference may take: a model that hangs fails its requests then, and is replaced; 0: for ever",
        ),
    )
    max_image_pixels: int = field(
        default=64_000_000,
        metadata=_says(values.whole_number(1), "PIXELS", "largest image, width times height, that is decoded"),
    )
    max_requests_per_client: int = field(
        default=0,
        metadata=_says(
            values.whole_number(0),
            "COUNT",
            "calls that one client, an address, may have open at a time, streams among them; more are refused as "
            "RESOURCE_EXHAUSTED; each of the --frontends counts for itself; 0: any number",
        ),
    )
    max_streams_per_client: int = field(
        default=0,
        metadata=_says(
            values.whole_number(0),
            "COUNT",
            "streams that one client may have open at a time; 0: any number",
        ),
    )
    queue_full_status: str = field(
        default="unavailable",
        metadata=_says(
            values.one_of("unavailable", "resource_exhausted"),
            "STATUS",
            "what a client is told when a model's queue is full: unavailable, as tritonserver does, or "
            "resource_exhausted, which no client takes as a reason to try again at once",
        ),
    )
    log_verbose: int = field(
        default=0,
        metadata=_says(values.whole_number(0), "LEVEL", "0: what whoever runs it wants to know; 1: every request too"),
    )
    log_format: str = field(
        default="default",
        metadata=_says(
            values.one_of("default", "iso8601", "json", "text"),
            "FORMAT",
            "default, or text: readable lines in the machine's own time; ISO8601: the same in UTC; json: an object a "
            "line, for programs",
        ),
    )


def settings() -> tuple[Field[Any], ...]:
    """The fields of `ServerConfig` in the order of the help."""
    return fields(ServerConfig)


def flag(name: str) -> str:
    """The flag of a setting: `--grpc-port` of `grpc_port`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting: `PASARELA_GRPC_PORT` of `grpc_port`."""
    return ENVIRONMENT_PREFIX + name.upper()


def resolve(
    flags: Mapping[str, str], environment: Mapping[str, str], default_repository: Path = DEFAULT_REPOSITORY
) -> ServerConfig:
    """Makes the settings of a process from what was said, most specific first.

    Args:
        flags: Texts by setting name, from the command line.
        environment: The process's environment; only `PASARELA_*` names of settings are read.
        default_repository: Served if nothing else was named and it is a folder.

    Raises:
        InvalidSetting: A text cannot be read, or no repository was named and there is none at the default.
    """
    chosen: dict[str, Any] = {}
    for setting in settings():
        name = setting.name
        if name in flags:
            chosen[name] = _read(setting, flags[name], flag(name))
        elif environment.get(variable(name)):
            chosen[name] = _read(setting, environment[variable(name)], variable(name))
    if "model_repository" not in chosen:
        if not default_repository.is_dir():
            raise InvalidSetting(
                f"no model repository: there is no folder {str(default_repository)!r} here; "
                f"name one with {flag('model_repository')} PATH or {variable('model_repository')}"
            )
        chosen["model_repository"] = default_repository
    config = ServerConfig(**chosen)
    _check_tls(config)
    if config.trace_file and config.trace_config and config.trace_config.file:
        raise InvalidSetting(f"{flag('trace_file')} and {flag('trace_config')} triton,file= both name a file")
    return replace(config, metrics_address=config.metrics_address or config.grpc_address)


def _check_tls(config: ServerConfig) -> None:
    """Raises InvalidSetting if TLS is asked for without the files that it takes."""
    if not (config.grpc_use_ssl or config.grpc_use_ssl_mutual):
        return
    asked = flag("grpc_use_ssl_mutual" if config.grpc_use_ssl_mutual else "grpc_use_ssl")
    needed = ["grpc_server_cert", "grpc_server_key", *(["grpc_root_cert"] if config.grpc_use_ssl_mutual else [])]
    for name in needed:
        if getattr(config, name) is None:
            raise InvalidSetting(f"{asked} needs {flag(name)} PATH or {variable(name)}")


def _read(setting: Field[Any], text: str, said_by: str) -> Any:
    try:
        return setting.metadata["read"](text)
    except ValueError as error:
        got = "" if setting.metadata["secret"] else f", got {text!r}"
        raise InvalidSetting(f"{said_by}: {error}{got}") from None
