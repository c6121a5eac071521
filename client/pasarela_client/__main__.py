"""The command line `pasarela`: parses arguments, runs a command, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, NoReturn

from pasarela_client.commands import WrongUsage, describe, detect, doctor, load, models, stats, top, unload
from pasarela_client.commands.connection_flags import add_connection_flags
from pasarela_client.errors import (
    CertificateRefused,
    ExportFailed,
    InvalidRequest,
    MissingExtra,
    PasarelaError,
    ServerUnreachable,
)

_CUT_SHORT = (130, 141, 143)
"""Exit codes after Ctrl-C, after the reader of the output went away, and after SIGTERM."""
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Why a file that stdout was sent to takes nothing more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 done; 1 failed, wholly or in part; 2 wrong usage; 3 no server; 130 Ctrl-C; 141 the reader of
        the output went away; 143 a signal to end, where a command takes it as Ctrl-C.
    """
    arguments = _build_parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except CertificateRefused as error:
        return _fail(str(error), 3)
    except ServerUnreachable as error:
        return _fail(f"{error}; start it with: make serve", 3)
    except (InvalidRequest, WrongUsage) as error:
        return _fail(str(error), 2)
    except (PasarelaError, MissingExtra, ExportFailed) as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _give_stdout_up()
        return 141
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _give_stdout_up()
        return _fail(f"cannot write the output: {error.strerror}", 1)
    return code


def run() -> NoReturn:
    """The process: runs one command and ends with its exit code."""
    code = main()
    if code in _CUT_SHORT:
        # Calls were cut off, and a thread of gRPC's that ends with the process may hold a lock for which the
        # interpreter would then wait, for ever, while it tears down the calls.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pasarela",
        description="Asks a Pasarela server for detections, and manages its models.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pasarela {version('pasarela-client')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, summary in (
        ("detect", detect, "find the objects on images"),
        ("models", models, "list the models of the server"),
        ("describe", describe, "what a model takes and gives, and how it is set up"),
        ("load", load, "have the server load a model, or load it anew"),
        ("unload", unload, "have the server take a model out of service"),
        ("stats", stats, "what the models have done: requests, failures, batches, times"),
        ("top", top, "what the models do right now, live"),
        ("doctor", doctor, "why does a model batch or not, where does its time go, what to change"),
    ):
        command = commands.add_parser(name, help=summary, allow_abbrev=False)
        module.add_arguments(command)
        add_connection_flags(command)
        command.set_defaults(run=module.run)
    return parser


def _give_stdout_up() -> None:
    """Python flushes stdout once more when it exits, which must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    print(f"pasarela: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    run()
