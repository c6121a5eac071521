"""The repository RPCs of the inference service: what is there, load, unload."""

from __future__ import annotations

from pasarela_proto import inference_pb2 as pb
from pasarela_server.errors import Unsupported
from pasarela_server.repository.servable import State
from pasarela_server.rpc.models import Models


class RepositoryCalls:
    """Lists, loads and unloads models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        """Every model and version with its state.

        Raises:
            Unsupported: A repository is named.
        """
        _refuse_name(request.repository_name)
        response = pb.RepositoryIndexResponse()
        for entry in self._models.index():
            if not request.ready or entry.state is State.READY:
                response.models.add(
                    name=entry.name,
                    version="" if entry.version is None else str(entry.version),
                    state=entry.state.value,
                    reason=entry.reason,
                )
        return response

    async def load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        """Loads a model, or loads it anew."""
        raise Unsupported("RepositoryModelLoad is not offered by this server: models are loaded when it starts")

    async def unload(self, request: pb.RepositoryModelUnloadRequest) -> pb.RepositoryModelUnloadResponse:
        """Unloads a model."""
        raise Unsupported("RepositoryModelUnload is not offered by this server: models are loaded when it starts")


def _refuse_name(repository_name: str) -> None:
    if repository_name:
        raise Unsupported(
            f"repository '{repository_name[:200]}': this server has one repository and no name for it; "
            "leave repository_name empty"
        )
