"""Reads the values of flags and environment variables. Each reader raises ValueError that says what it expects."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)")
_DEVICE = re.compile(r"(cpu)|(?:gpu|cuda)(?::(\d+))?", re.IGNORECASE)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def switch(text: str) -> bool:
    """Reads true or false."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("expected true or false")
    return word in _TRUE


def port(text: str) -> int:
    """Reads a TCP port; 0 stands for any free one."""
    return whole_number(0, 65535)(text)


def address(text: str) -> str:
    """Reads the address of an interface: anything but an empty text or one with a port."""
    host = text.strip()
    if not host or "/" in host or (host.count(":") == 1 and not host.startswith("[")):
        raise ValueError("expected an address without a port, like 0.0.0.0, 127.0.0.1 or ::")
    return host


def names(text: str) -> tuple[str, ...]:
    """Reads names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of a few words, in any case of letters."""

    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return word

    return read


def folder(text: str) -> Path:
    """Reads a path; whether there is something behind it shows when it is opened."""
    if not text.strip():
        raise ValueError("expected a path")
    return Path(text).expanduser()


def folder_or_none(text: str) -> Path | None:
    """Reads a path, or the word none."""
    return None if text.strip().lower() == "none" else folder(text)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`; underscores may group the digits."""
    expected = (
        f"expected a whole number from {least} to {most}" if most else f"expected a whole number, at least {least}"
    )

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(expected) from None
        if number < least or (most is not None and number > most):
            raise ValueError(expected)
        return number

    return read


def whole_number_or_auto(least: int, most: int) -> Callable[[str], int | None]:
    """A reader of whole numbers, or of the word auto: None."""
    number = whole_number(least, most)

    def read(text: str) -> int | None:
        if text.strip().lower() == "auto":
            return None
        try:
            return number(text)
        except ValueError as error:
            raise ValueError(f"{error}, or auto") from None

    return read


def cuda_device(text: str) -> int | None:
    """Reads a device: the index of a CUDA device for `gpu`, `cuda` or `cuda:N`; None for `cpu`."""
    match = _DEVICE.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected cpu, gpu, or cuda:N")
    return None if match[1] else int(match[2] or 0)


def duration_s(text: str) -> float:
    """Reads a time with its unit, into seconds: 50ms, 1.5s, 3m; never 0."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a time with its unit, like 50ms, 2s or 3m")
    return float(match[1]) * _SECONDS[match[2]]
