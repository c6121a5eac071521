"""What the user of a stream decides about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, get_args

from pasarela_client.errors import InvalidRequest
from pasarela_client.time_limits import time_limit

Policy = Literal["block", "drop-oldest"]
"""What happens to frames that come faster than they are answered: the source waits, or older ones are left out."""

POLICIES: Final[tuple[Policy, ...]] = get_args(Policy)


@dataclass(frozen=True, slots=True)
class StreamRules:
    """The rules of one stream; `of` checks what a person wrote."""

    window: int = 8
    """Frames that may be under way, or answered and not taken, at a time."""
    policy: Policy = "block"
    buffer: int = 1
    """Frames that may wait beside the window under `drop-oldest`: the newest."""
    deadline_s: float | None = None
    """Seconds from the moment a frame is pulled after which its answer is worth nothing."""
    timeout_s: float | None = None
    """Longest silence of a server that owes an answer, and longest time that a full queue is tried again."""
    reconnect_s: float = 30.0
    """How long a connection that broke is tried again."""

    @property
    def drops(self) -> bool:
        """Whether the source never waits."""
        return self.policy == "drop-oldest"

    @classmethod
    def of(
        cls,
        frames: object,
        *,
        window: int,
        policy: Policy | None,
        buffer: int,
        deadline_s: float | None,
        timeout_s: float | None,
        reconnect_s: float,
    ) -> Self:
        """The rules for a source of frames, checked.

        Args:
            frames: The source: where it says of itself that it is `live`, None as policy stands for `drop-oldest`.
            window: At least 1.
            policy: None leaves it to the source.
            buffer: At least 1.
            deadline_s: More than 0, or None.
            timeout_s: More than 0, or None.
            reconnect_s: 0 or more.

        Raises:
            InvalidRequest: A value is out of its range, or `frames` is one image and no source of them.
        """
        if isinstance(frames, str | bytes | bytearray | memoryview | Path):
            raise InvalidRequest(
                f"a stream takes an iterable of images, not one {type(frames).__name__}: put it into a list"
            )
        if policy is None:
            policy = "drop-oldest" if getattr(frames, "live", False) else "block"
        if policy not in POLICIES:
            raise InvalidRequest(f"policy is {' or '.join(map(repr, POLICIES))}, not {policy!r}")
        _check_count("window", window)
        _check_count("buffer", buffer)
        _check_positive("deadline_s", deadline_s)
        _check_positive("timeout_s", timeout_s)
        if not reconnect_s >= 0:
            raise InvalidRequest(f"reconnect_s is 0 (never) or more seconds, not {reconnect_s}")
        return cls(window, policy, buffer, time_limit(deadline_s), time_limit(timeout_s), reconnect_s)


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise InvalidRequest(f"{name} is at least 1, not {value}")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise InvalidRequest(f"{name} is more than 0 seconds, or None for no limit, not {value}")
