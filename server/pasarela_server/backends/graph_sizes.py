"""For which batch sizes a GPU's work is recorded. Pure."""

from __future__ import annotations

from pasarela_server.errors import InvalidModel

PARAMETER = "cuda_graphs"
_OFF = "off"
_HALFWAY_FROM = 16
"""Beyond this many rows a size halfway to the next power of two pays: padding would cost more than recording it."""


def graph_sizes(written: str | None, max_rows: int) -> tuple[int, ...]:
    """The sizes to record, ascending.

    Args:
        written: The parameter `cuda_graphs`: `off`, or sizes as `1,8,32`; None for the default, which is powers of two,
            sizes halfway between the large ones, and `max_rows` itself.
        max_rows: Rows of the largest batch.

    Raises:
        InvalidModel: It is neither, or a size is none that a batch can have.
    """
    if written is None:
        return _default_sizes(max_rows)
    if written.strip().lower() == _OFF:
        return ()
    try:
        sizes = sorted({int(size) for size in written.split(",")})
    except ValueError:
        raise InvalidModel(f"parameter {PARAMETER!r} is {written!r}; expected off, or batch sizes as 1,8,32") from None
    for size in sizes:
        if not 1 <= size <= max_rows:
            raise InvalidModel(
                f"parameter {PARAMETER!r} holds {size}; expected 1 to {max_rows}, the rows of the largest batch"
            )
    return tuple(sizes)


def _default_sizes(max_rows: int) -> tuple[int, ...]:
    sizes = {max_rows}
    size = 1
    while size < max_rows:
        sizes.add(size)
        halfway = size + size // 2
        if size >= _HALFWAY_FROM and halfway < max_rows:
            sizes.add(halfway)
        size *= 2
    return tuple(sorted(sizes))
