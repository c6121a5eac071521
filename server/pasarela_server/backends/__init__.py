"""Frameworks behind one small contract."""

from pasarela_server.backends.base import ArtefactSpec, Backend, BackendLoader, BackendOptions, Session
from pasarela_server.backends.limits import check_spatial
from pasarela_server.backends.loaders import load_backend, loaders

__all__ = [
    "ArtefactSpec",
    "Backend",
    "BackendLoader",
    "BackendOptions",
    "Session",
    "check_spatial",
    "load_backend",
    "loaders",
]
