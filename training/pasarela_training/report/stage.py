"""Writing the report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pasarela_training.config import Config
from pasarela_training.errors import TrainingError
from pasarela_training.progress import progress
from pasarela_training.report import parts
from pasarela_training.report.parts import Shown, Table

TEMPLATE = "report.html.j2"


def make_report(workspace: Path, config: Config, place: Path) -> str:
    """Writes the report. What a workspace does not hold is left out.

    Args:
        workspace: Where the stages' outputs lie.
        config: What was run.
        place: The file to write.

    Returns:
        One line that says where it is.

    Raises:
        TrainingError: The file cannot be written.
    """
    text = render(config, sections(workspace))
    try:
        write_whole(place, text)
    except OSError as error:
        raise TrainingError(f"report: {place} cannot be written: {error}; choose another place") from error
    return f"the report is in {place} ({len(text.encode()) / 2**20:.1f} MiB)"


def sections(workspace: Path) -> list[tuple[str, Sequence[Table], Sequence[Shown]]]:
    """Title, tables and pictures of each section that has any."""
    evaluated = workspace / "evaluate" / "pictures"
    curves = [*sorted(evaluated.glob("*-pr.png")), *sorted(evaluated.glob("*-confusion.png"))]
    makers: tuple[tuple[str, Callable[[], tuple[Sequence[Table], Sequence[Shown]]]], ...] = (
        ("Data", lambda: (parts.data(workspace), [])),
        ("Faults in the data", lambda: (parts.faults(workspace), [])),
        ("Training", lambda: ([], parts.pictures([workspace / "train" / "curves.png"]))),
        ("Accuracy", lambda: (parts.accuracy(workspace), [])),
        ("Precision, recall and confusion", lambda: ([], parts.pictures(curves))),
        ("Exported variants", lambda: (parts.checks(workspace), [])),
        ("Speed", lambda: (parts.comparison(workspace), parts.pictures([workspace / "compare" / "compare.png"]))),
        ("Examples, the worst first", lambda: ([], parts.examples(workspace))),
    )
    found = [(title, *make()) for title, make in progress(makers, "report", total=len(makers))]
    return [(title, tables, pictures) for title, tables, pictures in found if tables or pictures]


def render(config: Config, content: Sequence[tuple[str, Sequence[Table], Sequence[Shown]]]) -> str:
    """The page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = config.model_dump(mode="json")
    run = [
        ("dataset", str(config.dataset.source)),
        ("network", config.train.model),
        ("phases", "; ".join(f"{one.epochs} epochs at {one.imgsz} px" for one in config.train.schedule())),
        ("variants", ", ".join(config.export.variants)),
        ("served", config.publish.serve),
    ]
    return environment.get_template(TEMPLATE).render(run=run, settings=settings, sections=content)


def write_whole(place: Path, text: str) -> None:
    """Writes a file beside its place and renames it there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
