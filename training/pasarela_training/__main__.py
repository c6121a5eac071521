"""`pasarela-training`: see `pasarela-training --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pasarela_training.cli import parser
from pasarela_training.config import DatasetSection, SynthesizeSection, load_config
from pasarela_training.errors import ConfigError, TrainingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0 when all went well, 1 after an error, 2 for a command line or configuration that cannot be used,
        130 after Ctrl-C.
    """
    options = parser().parse_args(arguments)
    try:
        _run(options)
    except TrainingError as error:
        print(f"pasarela-training: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"pasarela-training: {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pasarela-training: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    # Processes that convert are spawned and import this module again: what is heavy waits until here.
    from pasarela_training.pipeline import Pipeline

    if options.command == "synthesize" and options.config is None:
        _synthesize_directly(options)
        return
    if options.command == "synthesize" and (options.images, options.seed, options.output) != (None, None, None):
        raise ConfigError("synthesize: --images, --seed and --output stand in for --config; give one or the other")
    pipeline = Pipeline(load_config(options.config), say=_say, allow_worse=bool(getattr(options, "allow_worse", False)))
    if options.command == "synthesize" and pipeline.config.dataset.synthesize is None:
        raise ConfigError(f"{options.config}: dataset has no `synthesize:` block; add one, with `images:` at least")
    if getattr(options, "artefact", None) is not None:
        pipeline.evaluate_artefact(options.artefact)
    elif getattr(options, "server", None) is not None:
        pipeline.verify_running(options.server, options.model or pipeline.config.publish.name)
    elif getattr(options, "model", None) is not None:
        raise ConfigError("verify: --model names a model of a running server; give its address with --server")
    else:
        getattr(pipeline, options.command)()


def _synthesize_directly(options: argparse.Namespace) -> None:
    from pydantic import ValidationError

    from pasarela_training.synthesize.stage import synthesize_dataset

    if options.images is None or options.output is None:
        raise ConfigError("synthesize: give --config, or both --images and --output")
    try:
        section = SynthesizeSection(images=options.images, seed=options.seed or 0)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"synthesize: --{fault['loc'][0]}: {fault['msg']}, got {fault['input']}") from error
    synthesize_dataset(DatasetSection(source=options.output, synthesize=section), say=_say, may_replace=False)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
