"""The command line of the server: flags and help, made from the table in `server.py`."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field
from typing import Any, NoReturn

from pasarela_server.config import values
from pasarela_server.config.restricted import restricted_protocols
from pasarela_server.config.server import InvalidSetting, ServerConfig, flag, resolve, settings, variable
from pasarela_server.config.tracing import trace_config

_DESCRIPTION = "Serves the models of a repository over gRPC (Open Inference Protocol v2, and typed detection)."
_EPILOG = """\
Every flag has an environment variable; the flag wins where both are set.

the repository:
  <model>/config.pbtxt               optional: what is left out is completed from the model file
  <model>/<version>/model.onnx       ONNX Runtime
  <model>/<version>/model.xml        OpenVINO, with model.bin beside it
  <model>/<version>/model.pt         PyTorch (TorchScript; model.pt2: torch.export)
  <model>/<version>/…                or what Ultralytics exported, under its own name

versions of a model (each has its own --help):
  pasarela-server versions MODEL                 what there is, and what is served
  pasarela-server label MODEL stable=3           a name that clients may ask for instead of a number
  pasarela-server rollback MODEL [LABEL]         take the latest version, or the latest move of a label, back

as fast as this machine can (see its --help):
  pasarela-server tune --model MODEL             measure which settings are best, print or write them

for probes of containers (takes the flags of the server):
  pasarela-server health                         exit code 0 if the server on this machine is ready

examples:
  pasarela-server --model-repository model_repository
  pasarela-server --model-repository model_repository --grpc-address 127.0.0.1 --grpc-port 9001
  PASARELA_MODEL_REPOSITORY=model_repository pasarela-server
"""


class OneLineParser(argparse.ArgumentParser):
    """Answers a wrong command line with one line, and not with the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with code 2 and the message."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse_command_line(
    arguments: Sequence[str] | None, environment: Mapping[str, str], program: str = "pasarela-server"
) -> ServerConfig:
    """Reads flags and environment into settings.

    Args:
        arguments: The command line without the program's name; None takes that of the process.
        environment: Usually `os.environ`.
        program: The name that help and errors use.

    Raises:
        SystemExit: With code 2 and one line on stderr for a wrong setting; with 0 after `--help`.
    """
    parser = _parser(program)
    said, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_unknown(unknown[0]))
    try:
        texts = {name: text for name, text in vars(said).items() if text is not None}
        joined = {name: ",".join(text) if isinstance(text, list) else text for name, text in texts.items()}
        return resolve(joined, environment)
    except InvalidSetting as wrong:
        parser.error(str(wrong))


def _parser(program: str) -> OneLineParser:
    parser = OneLineParser(
        prog=program,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        usage="%(prog)s [--model-repository PATH] [flags]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("flags")
    for setting in settings():
        is_list = setting.metadata["read"] in (values.names, restricted_protocols, trace_config)
        is_switch = setting.metadata["read"] is values.switch
        group.add_argument(
            flag(setting.name),
            metavar=setting.metadata["value"],
            action="append" if is_list else "store",
            help=_help(setting),
            nargs="?" if is_switch else None,
            const="true" if is_switch else None,
        )
    return parser


def _help(setting: Field[Any]) -> str:
    text = str(setting.metadata["help"])
    if setting.default is not MISSING and setting.default not in ("", (), None):
        shown = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
        text += f" (default: {shown})"
    return f"{text} [{variable(setting.name)}]".replace("%", "%%")


def _unknown(argument: str) -> str:
    name = argument.partition("=")[0]
    near = difflib.get_close_matches(name, [flag(setting.name) for setting in settings()], n=1)
    return f"unknown argument {argument!r}" + (f"; did you mean {near[0]}?" if near else "; see --help")
