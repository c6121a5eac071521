"""Which variant to run: what a repository holds, what is advised by what was measured, and how it is told."""

import json
from pathlib import Path

import pytest

from loadtest.variants.advice import accurate, apart, choices, sentence
from loadtest.variants.candidates import NoVariants, candidates
from loadtest.variants.measuring import description_of, state_of
from loadtest.variants.page import render_variants
from loadtest.variants.results import SCHEMA, Comparison, VariantResult
from loadtest.variants.session import in_turn
from pasarela_proto import inference_pb2
from tests.example_variants import comparison, variant

ModelIndex = inference_pb2.RepositoryIndexResponse.ModelIndex


def write(repository: Path, name: str, config: str = "", artefact: str = "") -> None:
    (repository / name).mkdir(parents=True)
    if config:
        (repository / name / "config.pbtxt").write_text(config)
    if artefact:
        (repository / name / "1").mkdir()
        (repository / name / "1" / artefact).write_bytes(b"")


def over(model: str, backend: str = "detection") -> str:
    return f'backend: "{backend}"\nparameters {{ key: "model" value {{ string_value: "{model}" }} }}\n'


def test_the_shipped_repository_holds_four_variants_and_knows_what_serves_them(repository: Path) -> None:
    found = {one.name: one for one in candidates(repository)}
    assert {name: one.backend for name, one in found.items()} == {
        "garments_int8": "openvino",
        "garments_onnx": "onnxruntime",
        "garments_openvino": "openvino",
        "garments_pytorch": "pytorch",
    }
    assert found["garments_openvino"].serves == ("garments",)
    assert found["garments_onnx"].serves == ()


def test_a_configuration_that_is_broken_is_a_row_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path, "good", artefact="model.onnx")
    write(tmp_path, "bad", config="backend: 7", artefact="model.onnx")
    write(tmp_path, "shown", config=over("good"))
    write(tmp_path, "raw_boxes", config=over("good", "nms"))
    bad, good = candidates(tmp_path)
    assert (good.name, good.backend, good.serves, good.problem) == ("good", "onnxruntime", ("shown",), "")
    assert bad.name == "bad"
    assert "config.pbtxt" in bad.problem


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param((), "holds no model with an artefact", id="only what needs other models"),
        pytest.param(("hats",), "has no model hats .* it has none", id="a name that is not there"),
    ],
)
def test_nothing_to_compare_is_told(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    write(tmp_path, "shown", config=over("elsewhere"))
    with pytest.raises(NoVariants, match=message):
        candidates(tmp_path, names)


def test_a_repository_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoVariants, match="does not exist"):
        candidates(tmp_path / "nothing")
    with pytest.raises(NoVariants, match="holds no models"):
        candidates(tmp_path)


def test_the_advice_weighs_throughput_and_names_what_it_costs() -> None:
    found = comparison().variants
    best = choices(found)
    assert [one.name for one in best] == ["garments_int8", "garments_int8", "garments_onnx", "garments_onnx"]
    assert best[0].clear
    assert sentence(found) == (
        "Run garments_int8: 43.0 images/s, mAP50-95 0.875. That is 1.13 × the throughput and −0.003 mAP50-95 of "
        "garments_openvino, which garments runs now."
    )


@pytest.mark.parametrize(
    ("tolerated", "names"),
    [
        pytest.param(0.01, ["garments_int8", "garments_onnx", "garments_openvino"], id="all are near the best"),
        pytest.param(0.001, ["garments_onnx", "garments_openvino"], id="a little is too much for the quantised one"),
        pytest.param(0.0, ["garments_openvino"], id="only the best"),
    ],
)
def test_variants_that_lose_too_much_accuracy_are_no_choice(tolerated: float, names: list[str]) -> None:
    assert [one.name for one in accurate(comparison().variants, tolerated)] == names


def test_without_any_accuracy_all_that_ran_are_a_choice() -> None:
    found = [variant("a", 10.0), variant("b", 20.0), variant("c", problem="not installed")]
    assert [one.name for one in accurate(found)] == ["a", "b"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([20, 21], [10, 12], True, id="the slowest round is faster than the fastest of the other"),
        pytest.param([20, 11], [10, 12], False, id="rounds overlap"),
        pytest.param([20], [10, 12], False, id="one round says nothing of the spread"),
        pytest.param([], [10, 12], False, id="not measured"),
    ],
)
def test_better_means_better_in_every_round(one: list[float], other: list[float], expected: bool) -> None:
    assert apart(variant("a", *one), variant("b", *other), "saturated_per_second", most=True) is expected


def test_what_is_too_near_to_tell_says_so() -> None:
    found = [variant("a", 20.0, 11.0), variant("b", 14.0, 15.0)]
    assert "not apart in every round" in choices(found)[0].why
    assert sentence(found).endswith("more rounds would have to tell them apart.")


def test_what_serves_already_is_not_compared_with_itself() -> None:
    found = [variant("a", 20.0, 21.0, serves=("garments",)), variant("b", 10.0, 11.0)]
    assert sentence(found) == "Run a: 20.5 images/s. It is what garments runs already."


def test_what_failed_later_is_no_choice_though_it_was_the_fastest() -> None:
    found = [variant("a", 20.0, problem="INTERNAL"), variant("b", 10.0, 11.0)]
    assert [one.name for one in accurate(found)] == ["b"]
    assert sentence(found).startswith("Run b:")


def test_nothing_that_ran_gives_no_advice() -> None:
    found = [variant("a", problem="not installed")]
    assert choices(found) == []
    assert sentence(found) == "No variant could be measured."


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        pytest.param([ModelIndex(name="m", version="1", state="READY")], None, id="ready"),
        pytest.param(
            [ModelIndex(name="m", state="UNAVAILABLE", reason="no PyTorch"), ModelIndex(name="m", state="READY")],
            None,
            id="an older version is",
        ),
        pytest.param(
            [ModelIndex(name="m", version="1", state="UNAVAILABLE", reason="no PyTorch")],
            "no PyTorch",
            id="with a reason",
        ),
        pytest.param([ModelIndex(name="other", state="READY")], "does not say why", id="not there"),
    ],
)
def test_why_a_server_has_not_loaded_a_model(index: list[ModelIndex], reason: str | None) -> None:
    found = state_of("m", index)
    assert found is None if reason is None else reason in (found or "")


def test_what_runs_a_model_is_read_from_what_the_server_printed() -> None:
    printed = (
        "model          version  state  backend\n"
        "garments_int8  1        READY  OpenVINO 2026.4.1, CPU, int8 (f32 elsewhere), 2 x 1 threads\n"
        "other          -        -      not loaded; clients load it with RepositoryModelLoad\n"
    )
    assert description_of("garments_int8", printed) == "OpenVINO 2026.4.1, CPU, int8 (f32 elsewhere), 2 x 1 threads"
    assert description_of("other", printed) == ""


def test_rounds_go_there_and_back() -> None:
    found = comparison().variants
    assert list(in_turn(found, 0)) == list(in_turn(found, 2)) == list(in_turn(found, 1))[::-1]


def test_results_survive_the_file() -> None:
    told = comparison()
    assert Comparison.from_json(json.loads(json.dumps(told.to_json()))) == told
    with pytest.raises(ValueError, match=f"schema 99, this version reads {SCHEMA}"):
        Comparison.from_json({"schema": 99})


def test_the_page_says_what_to_run_and_why_others_are_left_out() -> None:
    page = render_variants(comparison())
    assert page.index("Run garments_int8: 43.0 images/s") < page.index("Side by side")
    assert "garments_pytorch was left out:" in page
    assert "PyTorch is not installed" in page
    assert "garments_int8 ✓" in page
    for figure in ("0.8753", "43.0 (42.7–44.1)", "231", "5.00", "OpenVINO, CPU, bf16, 2 x 1 threads"):
        assert figure in page, figure


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"complete": False}, "Cut short.", id="stopped before its end"),
        pytest.param({"judged_images": 0}, "mAP was not measured.", id="without the accuracy"),
    ],
)
def test_the_page_says_what_is_missing(changes: dict, told: str) -> None:
    assert told in render_variants(comparison(**changes))


def test_a_page_without_anything_measured_says_so() -> None:
    page = render_variants(comparison(VariantResult("a", "", problem="<b>not installed</b>")))
    assert "No variant could be measured." in page
    assert "&lt;b&gt;not installed" in page
