"""`pasarela-server tune`: flags in, progress on stderr, the report on stdout, an exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pasarela_server.config import values
from pasarela_server.config.command_line import OneLineParser
from pasarela_server.config.cores import available_cores
from pasarela_server.config.server import DEFAULT_REPOSITORY, default_cache, variable
from pasarela_server.errors import InvalidModel
from pasarela_server.tuning.search import CandidateFailed
from pasarela_server.tuning.store import default_folder
from pasarela_server.tuning.tune import Tuned, TuneRequest, tune, write_config
from pasarela_server.tuning.wording import milliseconds

_DESCRIPTION = """\
Measures with which settings a model is fastest on this machine: instances and threads, batches, and precisions if you
allow them. Takes a few minutes; nothing else should run meanwhile. Prints what to change in config.pbtxt, or writes it.
"""
_EPILOG = """\
The best settings are those with the most throughput, subject to the latency target if there is one. They are taken
only if they do better than the configuration as it is, and than the server's defaults, in every one of seven repeats.

A model that detects is sent JPEGs; any other tensors: noise, or the samples of its model_warmup.

examples:
  pasarela-server tune --model garments_openvino
  pasarela-server tune --model garments --latency-target 50ms --images photos --write
  pasarela-server tune --model garments_openvino --precisions f32,bf16 --budget 10m
  pasarela-server tune --model garments_openvino --resume --write    take over what was measured before
"""
_STOPPED = 130


def run_tune(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs the command.

    Args:
        arguments: The command line behind `tune`.
        environment: Usually `os.environ`.

    Returns:
        0; 1 with one line on stderr if the model cannot be tuned or nothing keeps the latency target; 130 if it was
        stopped.

    Raises:
        SystemExit: With code 2 for a wrong command line; with 0 after `--help`.
    """
    parser = _parser(environment)
    said = parser.parse_args(arguments)
    request = _request(said, parser)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        tuned = tune(request, lambda line: print(line, file=sys.stderr, flush=True))
        return _finish(tuned, parser.prog, writes=said.write)
    except (InvalidModel, CandidateFailed) as error:
        return _fail(parser, str(error))
    except OSError as error:
        return _fail(parser, f"{error.filename or request.output}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.stderr.write(f"{parser.prog}: stopped; what was measured is kept, --resume goes on with it\n")
        return _STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)


def _finish(tuned: Tuned, program: str, *, writes: bool) -> int:
    report = tuned.report
    sys.stdout.write(report.page() + "\nkept:\n" + "".join(f"  {file}\n" for file in tuned.files))
    if not report.reached:
        sys.stderr.write(
            f"{program}: error: nothing keeps p99 at {report.target_ms:g} ms; the lowest that was reached is "
            f"{milliseconds(report.lowest_ms)} ms; config.pbtxt stays as it is\n"
            if report.target_ms is not None
            else f"{program}: error: under every load requests were refused; config.pbtxt stays as it is\n"
        )
        return 1
    change = report.diff(tuned.source)
    if not change:
        sys.stdout.write(f"\n{tuned.source} needs no change\n")
    elif writes:
        write_config(tuned)
        sys.stdout.write(
            f"\n{change}\nwritten; a server that polls the repository (--model-control-mode poll) follows within "
            "seconds; with explicit control, load the model again\n"
        )
    else:
        sys.stdout.write(f"\n{change}\nnothing was written; --resume --write does so without measuring again\n")
    return 0


def _fail(parser: argparse.ArgumentParser, message: str) -> int:
    sys.stderr.write(f"{parser.prog}: error: {message}\n")
    return 1


def _request(said: argparse.Namespace, parser: OneLineParser) -> TuneRequest:
    if said.images is not None and not said.images.is_dir():
        parser.error(f"--images: there is no folder {str(said.images)!r}")
    if said.images is not None and said.tensors:
        parser.error("--images and --tensors exclude each other")
    if said.output.resolve().is_relative_to(said.model_repository.resolve()):
        parser.error("--output: a server would take what lies in the model repository for a model; name another folder")
    return TuneRequest(
        repository=said.model_repository,
        model=said.model,
        cpu_threads=said.cpu_threads,
        output=said.output,
        budget_s=said.budget,
        target_ms=None if said.latency_target is None else 1000 * said.latency_target,
        precisions=said.precisions,
        clients=said.clients,
        images=said.images,
        tensors=said.tensors,
        resume=said.resume,
        writes=said.write,
    )


def _parser(environment: Mapping[str, str]) -> OneLineParser:
    parser = OneLineParser(
        prog="pasarela-server tune",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    repository = environment.get(variable("model_repository")) or DEFAULT_REPOSITORY
    output = default_folder(default_cache())
    cores = _environment_cores(environment, parser)
    add = parser.add_argument
    add("--model", metavar="M", required=True, help="the model; of a detection model, the raw model under it is tuned")
    add(
        "--model-repository",
        metavar="PATH",
        type=_read(values.folder),
        default=Path(repository),
        help=f"folder that holds the models (default: ./{DEFAULT_REPOSITORY}) [{variable('model_repository')}]",
    )
    add(
        "--latency-target",
        metavar="TIME",
        type=_read(values.duration_s),
        help="what 99 of 100 requests must be answered in, like 50ms (default: no bound)",
    )
    add(
        "--budget",
        metavar="TIME",
        type=_read(values.duration_s),
        default=240.0,
        help="how long to measure, about; with little time fewer candidates are tried (default: 4m)",
    )
    add(
        "--precisions",
        metavar="LIST",
        type=_read(values.names),
        default=(),
        help="precisions that may be chosen beside the model's own, like f32,bf16. They change answers: measure the "
        "accuracy before you keep one (default: none)",
    )
    add(
        "--images",
        metavar="DIR",
        type=_read(values.folder),
        help="send these images to a detector, as your clients will (default: generated JPEGs of 1080x810)",
    )
    add("--tensors", action="store_true", help="send tensors to a detector, too")
    add(
        "--clients",
        metavar="LIST",
        type=_read(_counts),
        default=(),
        help="clients at a time to try, like 1,4,16 (default: from 1 to four times what runs in parallel)",
    )
    add("--write", action="store_true", help="write the winner into config.pbtxt (default: print the change)")
    add("--resume", action="store_true", help="use what was measured before under the same conditions")
    add(
        "--output",
        metavar="DIR",
        type=_read(values.folder),
        default=output,
        help=f"folder for measurements (JSON), picture (SVG) and report (default: {output})",
    )
    add(
        "--cpu-threads",
        metavar="COUNT",
        type=_read(values.whole_number(1, 4096)),
        default=cores,
        help="cores to plan with, as the server's flag (default: those that the process may use) "
        f"[{variable('cpu_threads')}]",
    )
    return parser


def _environment_cores(environment: Mapping[str, str], parser: OneLineParser) -> int:
    said = environment.get(variable("cpu_threads"))
    if not said:
        return available_cores()
    try:
        return values.whole_number(1, 4096)(said)
    except ValueError as error:
        parser.error(f"{variable('cpu_threads')}: {error}, got {said!r}")


def _counts(text: str) -> tuple[int, ...]:
    """Reads whole numbers with commas between them."""
    return tuple(sorted({values.whole_number(1, 1024)(each) for each in values.names(text)}))


def _read(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader whose errors argparse shows as they are."""

    def read(text: str) -> Any:
        try:
            return reader(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, got {text!r}") from None

    return read
