"""A whole repository: what loads, what does not and why, and what clients are told."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

from pasarela_server.errors import (
    BackendFailure,
    BackendMissing,
    InvalidModel,
    ModelNotFound,
    ModelUnavailable,
    NoVersionReady,
    ServerStopping,
)
from pasarela_server.repository.manager import ManagerOptions
from pasarela_server.repository.readiness import IndexEntry
from pasarela_server.repository.servable import State
from pasarela_server.request import InferRequest
from pasarela_server.tensor import DataType, Tensor

OVER = 'backend: "detection" parameters {{ key: "model" value {{ string_value: "{}" }} }}'
PAIR = Tensor("x", DataType.FP32, np.ones((1, 2), np.float32))


def states(manager: Any) -> dict[tuple[str, int | None], str]:
    return {(entry.name, entry.version): entry.state.value for entry in manager.index()}


def reason(manager: Any, model: str) -> str:
    return next(str(entry.reason) for entry in manager.index() if entry.name == model)


def test_a_whole_repository_is_loaded(repository: Any) -> None:
    manager = repository.add("a", "plain").add("b", "detector").add("c", config=OVER.format("b")).manager()

    assert manager.index() == tuple(IndexEntry(name, 1, State.READY) for name in "abc")
    assert manager.ready()
    assert all(manager.model_ready(name) and manager.model_ready(name, 1) for name in "abc")
    assert {"a", "b", "c"} <= set(repository.changes)


def test_while_it_starts_no_model_is_unknown(repository: Any) -> None:
    """A client that came early would take its name for wrong, and give up."""
    manager = repository.add("b", "detector").add("c", config=OVER.format("b")).manager(load=False)
    with pytest.raises(ModelUnavailable, match=r"starting.*'c'"):
        manager.acquire("c")
    seen: list[tuple[dict[tuple[str, int | None], str], str]] = []

    def look() -> None:
        with pytest.raises(ModelUnavailable) as refused:
            manager.acquire("c")
        seen.append((states(manager), str(refused.value)))
        with pytest.raises(ModelUnavailable, match="'b' is not ready: version 1: it is being loaded"):
            manager.acquire("b")

    repository.loader.on_load = look
    manager.load_all()
    ((during, told),) = seen
    assert during == {("b", 1): "LOADING", ("c", None): "LOADING"}
    assert told == "model 'c' is not ready: the server is starting, and has not come to it yet"
    with pytest.raises(ModelNotFound, match="there is no model 'd'"):
        manager.acquire("d")


def test_the_log_says_in_a_line_what_was_decided(repository: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pasarela_server.repository")

    repository.add("b", "detector").add("c", config=OVER.format("b")).manager()

    raw, detection = caplog.messages
    assert raw.startswith("model b version 1: READY in ")
    assert "fake 1.0; instances: 2 with 1 thread each, one a core; batching: up to 4 rows, because" in raw
    assert raw.endswith("detects 2 classes at 64x32")
    assert "detects with b version 1, 2 classes; defaults: confidence 0.25, IoU 0.7, at most 300" in detection


def test_instances_are_warm_before_the_model_is_ready(repository: Any) -> None:
    repository.add("b", "detector", config="instance_group { count: 3 }").manager()

    (backend,) = repository.loader.backends
    shapes = Counter(shape["images"] for shape in backend.shapes)
    assert shapes == {(1, 3, 32, 64): 6, (4, 3, 32, 64): 3}, (
        "each of three instances, and a picture all the way on each"
    )
    assert (backend.options.instances, backend.options.threads) == (3, 1)


def test_a_gpu_is_asked_for_by_the_instance_group(repository: Any) -> None:
    repository.add("b", "detector", config="instance_group { kind: KIND_GPU }").manager()

    (backend,) = repository.loader.backends
    assert (backend.options.parameters, backend.options.instances) == ({"device": "gpu"}, 2)


def test_nothing_is_ready_before_it_is_loaded(repository: Any) -> None:
    manager = repository.add("a", "plain").manager(load=False)

    assert not manager.ready()
    assert not manager.model_ready("a")
    assert manager.index() == ()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param({"config": "nmae: 'x'", "kind": "plain"}, "x/config.pbtxt, line 1, column 1: .*'name'", id="a typo"),
        pytest.param({"config": "max_batch_size: 4"}, "'x': there is no version; put the model file", id="no version"),
        pytest.param({"kind": "half"}, "model.fake is cut in half", id="a broken artefact"),
        pytest.param({"config": "model_operations { }", "kind": "plain"}, "field 'model_operations' is not", id="a field"),
        pytest.param({"config": 'name: "y"', "kind": "plain"}, "name is 'y'", id="another name"),
        pytest.param(
            {"config": 'input { name: "z" }', "kind": "plain"}, "'z' is not in the model file, which has 'x'", id="input"
        ),
        pytest.param({"config": "version_policy { specific { versions: 9 } }", "kind": "plain"}, "names 9", id="version"),
        pytest.param({"kind": "crash"}, "^loading it failed unexpectedly; the server's log says how$", id="unexpected"),
        pytest.param(
            {"config": 'output { name: "output0" label_filename: "no.txt" }', "kind": "detector"}, "'no.txt' is no file",
            id="labels",
        ),
        pytest.param({"config": OVER.format("absent")}, "detects with 'absent': there is no model 'absent'", id="over none"),
        pytest.param({"config": OVER.format("good")}, "'good' is no detection model: its artefact carries", id="over raw"),
        pytest.param({"config": OVER.format("good") + " max_batch_size: 2"}, "'max_batch_size' has no", id="its batch"),
    ],
)  # fmt: skip
def test_a_broken_model_says_why_and_stops_no_other(repository: Any, model: dict[str, Any], expected: str) -> None:
    repository.loader.errors = {
        "half": InvalidModel("model.fake is cut in half"),
        "crash": RuntimeError("/secret/path: segmentation"),
    }
    manager = repository.add("x", model.get("kind"), config=model.get("config")).add("good", "plain").manager()

    assert manager.model_ready("good")
    assert not manager.model_ready("x")
    assert not manager.ready(), "a broken model holds readiness back"
    with pytest.raises(NoVersionReady, match="model 'x'"):
        manager.acquire("x")
    assert re.search(expected, reason(manager, "x"))


def test_what_was_unexpected_is_logged_whole(repository: Any, caplog: pytest.LogCaptureFixture) -> None:
    repository.loader.errors = {"crash": RuntimeError("deep inside")}
    repository.add("x", "crash").manager()

    assert "deep inside" in caplog.text


def test_a_first_inference_that_fails_is_a_broken_model(repository: Any, plain_spec: Any) -> None:
    def network(_: Any) -> Any:
        raise BackendFailure("no such kernel")

    repository.loader.networks["bad"] = (plain_spec, network)
    manager = repository.add("x", "bad").manager()

    assert reason(manager, "x") == "model 'x': a first inference with zeros failed: no such kernel"
    assert repository.loader.backends[0].closed.is_set(), "what was opened is closed"


def test_a_framework_that_is_not_installed_holds_nothing_back(repository: Any) -> None:
    repository.loader.errors = {
        "torch": BackendMissing('torch is not installed; pip install "pasarela-server[pytorch]"')
    }
    manager = repository.add("t", "torch").add("over", config=OVER.format("t")).add("good", "plain").manager()

    assert manager.ready()
    assert states(manager) == {("good", 1): "READY", ("over", 1): "UNAVAILABLE", ("t", 1): "UNAVAILABLE"}
    assert "pip install" in reason(manager, "t")
    assert "pip install" in reason(manager, "over")
    with pytest.raises(NoVersionReady, match="pip install") as refused:
        manager.acquire("over")
    assert refused.value.backend_missing
    with pytest.raises(BackendMissing, match="pip install"):
        manager.acquire("over", 1)


def test_a_detection_model_over_a_broken_one_tells_its_reason(repository: Any) -> None:
    repository.loader.errors = {"half": InvalidModel("model.fake is cut in half")}
    manager = repository.add("raw", "half").add("over", config=OVER.format("raw")).manager()

    assert (
        "model 'over' detects with 'raw': model 'raw' has no version that is ready: version 1: model.fake is cut"
        in reason(manager, "over")
    )


def test_a_detection_model_over_a_detection_model_is_refused(repository: Any) -> None:
    repository.add("raw", "detector").add("a", config=OVER.format("raw")).add("b", config=OVER.format("c"))
    manager = repository.add("c", config=OVER.format("a")).manager(options=ManagerOptions(load_threads=1))

    assert "'a', which is a detection model itself; name a raw model" in reason(manager, "c")


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        pytest.param("", [3], id="the latest"),
        pytest.param("version_policy { latest { num_versions: 2 } }", [2, 3], id="the latest two"),
        pytest.param("version_policy { all { } }", [1, 2, 3], id="all"),
        pytest.param("version_policy { specific { versions: 1 } }", [1], id="one of them"),
    ],
)
def test_versions_are_chosen_by_policy(repository: Any, policy: str, served: list[int]) -> None:
    for version in (1, 2, 3):
        repository.add("m", "plain", version=version, config=policy)
    manager = repository.manager()

    assert list(manager.ready_versions("m")) == served
    with manager.acquire("m") as handle:
        assert handle.servable.version == served[-1]
    with manager.acquire("m", served[0]) as handle:
        assert handle.servable.version == served[0]


def test_without_a_version_the_highest_that_is_ready_answers(repository: Any) -> None:
    repository.loader.errors = {"half": InvalidModel("cut in half")}
    repository.add("m", "plain", version=1, config="version_policy { all { } }").add("m", "half", version=2)
    manager = repository.manager()

    with manager.acquire("m") as handle:
        assert handle.servable.version == 1
    with pytest.raises(ModelUnavailable, match="version 2 is not ready: cut in half"):
        manager.acquire("m", 2)
    assert manager.model_ready("m")
    assert not manager.model_ready("m", 2)


def test_unknown_names_and_versions(repository: Any) -> None:
    manager = repository.add("m", "plain").manager()

    with pytest.raises(ModelNotFound, match="no model 'n'; there are m"):
        manager.acquire("n")
    with pytest.raises(ModelNotFound, match="'m' has no version 2, that should be loaded; it has 1"):
        manager.acquire("m", 2)
    with pytest.raises(ModelNotFound):
        manager.config("n")
    assert not manager.model_ready("n")
    assert not manager.model_ready("m", 2)


def test_the_configuration_in_force(repository: Any) -> None:
    manager = repository.add("m", "plain", config="max_batch_size: 8").manager()

    config = manager.config("m")

    assert (config.name, config.backend, config.max_batch_size, config.artefact) == ("m", "fake", 8, "model.fake")


def test_an_empty_repository(repository: Any) -> None:
    with pytest.raises(InvalidModel, match="holds no models"):
        repository.manager()

    assert repository.manager(options=ManagerOptions(allow_empty=True)).ready()


def test_readiness_that_is_not_strict(repository: Any) -> None:
    manager = (
        repository.add("x", config="typo").add("good", "plain").manager(options=ManagerOptions(strict_readiness=False))
    )

    assert manager.ready()


def test_models_are_loaded_side_by_side(repository: Any, plain_spec: Any) -> None:
    together = threading.Barrier(2, timeout=30)

    def network(inputs: Any) -> Any:
        together.wait()
        return {"y": inputs["x"]}

    repository.loader.networks["slow"] = (plain_spec, network)
    config = "instance_group { count: 1 }"
    manager = repository.add("a", "slow", config=config).add("b", "slow", config=config).manager()

    assert states(manager) == {("a", 1): "READY", ("b", 1): "READY"}


def test_closing_frees_everything(repository: Any) -> None:
    manager = repository.add("a", "plain").add("b", "detector").add("c", config=OVER.format("b")).manager()
    before = threading.active_count()

    manager.close()

    assert all(backend.closed.is_set() for backend in repository.loader.backends)
    assert threading.active_count() == before - 4, "two instances of two models"
    assert not manager.ready()
    assert not manager.model_ready("a")
    assert set(states(manager).values()) == {"UNAVAILABLE"}
    with pytest.raises(ServerStopping):
        manager.acquire("a")


async def test_closing_lets_a_request_that_runs_finish(repository: Any) -> None:
    manager = repository.add("a", "plain").manager()
    handle = manager.acquire("a")

    closing = asyncio.create_task(asyncio.to_thread(manager.close))
    assert await asyncio.to_thread(manager._catalogue._stopping.wait, 30)
    with handle:
        response = await handle.servable.infer(InferRequest("a", (PAIR,)))
    await closing

    assert response.outputs[0].array.tolist() == [[2, 2]]
    assert repository.loader.backends[0].closed.is_set()


async def test_closing_in_a_hurry_fails_what_still_waits(repository: Any) -> None:
    manager = repository.add("a", "plain").manager()

    with manager.acquire("a") as handle:
        await asyncio.to_thread(manager.close, 0)
        with pytest.raises(ServerStopping):
            await handle.servable.infer(InferRequest("a", (PAIR,)))
    manager.close()

    assert repository.loader.backends[0].closed.is_set()
