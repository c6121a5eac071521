import pytest

from pasarela_training.config import PublishSection, Variant
from pasarela_training.errors import PublicationRefused
from pasarela_training.evaluate.scores import Scores
from pasarela_training.evaluate.stage import Measured
from pasarela_training.publish.gate import check_allowed, refusals

SECTION = PublishSection(minimum_map50=0.9, max_map_difference=0.005)


def measured(variant: Variant, map50: float, map50_95: float, val: float | None = None) -> Measured:
    splits = {
        "val": Scores(map50_95 if val is None else val, map50, map50, {}),
        "test": Scores(map50_95, map50, map50, {}),
    }
    return Measured(variant, f"{variant} on a CPU, f32", 1.0, splits)


@pytest.mark.parametrize(
    ("variants", "reasons"),
    [
        # reason: good and alike
        ([measured("onnx", 0.93, 0.80), measured("openvino", 0.93, 0.796)], []),
        # reason: exactly at the threshold is enough
        ([measured("onnx", 0.9, 0.7)], []),
        # reason: one variant is below the minimum
        ([measured("onnx", 0.93, 0.80), measured("openvino", 0.89, 0.799)], ["openvino has mAP50 0.8900 on test"]),
        # reason: the variants differ, whichever is the better one
        ([measured("onnx", 0.95, 0.80), measured("openvino", 0.95, 0.81)], ["differ by 0.0100 mAP50-95 on test"]),
        # reason: a difference on val alone is a difference
        ([measured("onnx", 0.95, 0.8), measured("openvino", 0.95, 0.8, val=0.7)], ["differ by 0.1000 mAP50-95 on val"]),
    ],
)
def test_what_forbids_publication(variants: list[Measured], reasons: list[str]) -> None:
    found = refusals(variants, SECTION)
    for reason in reasons:
        assert any(reason in one for one in found)
    assert bool(found) == bool(reasons)


def test_the_refusal_holds_the_table_of_all_figures() -> None:
    variants = [measured("onnx", 0.93, 0.80), measured("openvino", 0.89, 0.799)]
    with pytest.raises(PublicationRefused) as caught:
        check_allowed(variants, SECTION)
    first, *table = str(caught.value).splitlines()
    assert "refused" in first
    assert "minimum_map50 0.9" in first
    assert len(table) == 1 + 2 * 2
    assert "openvino   test    0.8900    0.7990  openvino on a CPU, f32" in table[-1]


def test_without_a_test_split_the_measured_one_is_held_against_the_minimum() -> None:
    only = Measured("onnx", "onnx", 1.0, {"val": Scores(0.5, 0.5, 0.5, {})})
    assert "0.5000 on val" in refusals([only], SECTION)[0]
