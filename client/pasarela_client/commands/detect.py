"""`pasarela detect`: what is on these images, videos and cameras?"""

from __future__ import annotations

import argparse

from pasarela_client.commands.detecting.flags import add_arguments
from pasarela_client.commands.detecting.run import Run

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> int:
    """Detects, prints and saves; returns the exit code.

    Raises:
        PasarelaError: Nothing more can be done, for any image.
        ExportFailed: Results cannot be written.
        BrokenPipeError: The reader of the output went away.
    """
    return Run(arguments).carry_out()
