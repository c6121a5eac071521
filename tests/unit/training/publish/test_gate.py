from collections.abc import Mapping
from dataclasses import replace

import pytest

from pasarela_training.config import Config, Variant
from pasarela_training.evaluate.measured import Measured
from pasarela_training.evaluate.scores import Scores
from pasarela_training.export.check import VariantCheck
from pasarela_training.publish.gate import Evidence, judge_variants, verdict_table

CONFIG = Config.model_validate({"workspace": "w", "dataset": {"source": "d"}})
FAILED = VariantCheck(False, ["boxes are elsewhere"], "f32", 0.0, 0.0, 9.0, 0.1, 0.5, 0.6, 0.2)


def measured(variant: Variant, map50: float, map50_95: float, val: float | None = None) -> Measured:
    splits = {
        "val": Scores(map50_95 if val is None else val, map50, map50, {}),
        "test": Scores(map50_95, map50, map50, {}),
    }
    return Measured(variant, f"{variant} on a CPU, f32", 1.0, splits)


@pytest.mark.parametrize(
    ("variants", "refused"),
    [
        # reason: good and alike
        ([measured("onnx", 0.93, 0.80), measured("openvino", 0.93, 0.796)], {}),
        # reason: exactly at the threshold is enough
        ([measured("onnx", 0.9, 0.7)], {}),
        # reason: only the variant below the minimum is refused
        ([measured("onnx", 0.93, 0.8), measured("openvino", 0.89, 0.8)], {"openvino": "mAP50 0.8900 on test"}),
        # reason: without PyTorch the best variant is the reference
        (
            [measured("onnx", 0.95, 0.8), measured("openvino", 0.95, 0.81)],
            {"onnx": "differs by 0.0100 from openvino's"},
        ),
        # reason: the same numbers in another framework may not gain, either
        ([measured("pytorch", 0.95, 0.8), measured("onnx", 0.95, 0.82)], {"onnx": "differs by 0.0200 from pytorch's"}),
        # reason: PyTorch is the reference even where it is the lower one
        ([measured("pytorch", 0.95, 0.8), measured("openvino", 0.95, 0.803)], {}),
        # reason: quantisation may gain by chance
        ([measured("pytorch", 0.95, 0.8), measured("int8", 0.95, 0.82)], {}),
        # reason: and is no reference for the others, then
        ([measured("openvino", 0.95, 0.8), measured("int8", 0.95, 0.82)], {}),
        # reason: INT8 alone has nothing to differ from
        ([measured("int8", 0.95, 0.8)], {}),
        # reason: different on val alone is different
        ([measured("onnx", 0.95, 0.8), measured("openvino", 0.95, 0.8, val=0.7)], {"openvino": "on val"}),
        # reason: INT8 may lose what its own key allows
        ([measured("pytorch", 0.95, 0.8), measured("int8", 0.95, 0.791)], {}),
        # reason: and no more than that
        ([measured("pytorch", 0.95, 0.8), measured("int8", 0.95, 0.78)], {"int8": "export.int8.max_drop"}),
    ],
)
def test_each_variant_is_judged_by_its_figures(variants: list[Measured], refused: Mapping[str, str]) -> None:
    verdicts = judge_variants(Evidence(variants, {}, {}, {}), CONFIG)
    assert {one.variant for one in verdicts if not one.allowed} == set(refused)
    for one in verdicts:
        assert refused.get(one.variant, "") in " ".join(one.reasons)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        # reason: it is not what was trained
        (Evidence([measured("onnx", 0.95, 0.8)], {}, {"onnx": FAILED}, {}), "boxes are elsewhere"),
        # reason: the server finds something else
        (Evidence([measured("onnx", 0.95, 0.8)], {"onnx": measured("onnx", 0.95, 0.7)}, {}, {}), "through the server"),
        # reason: the version before was better
        (Evidence([measured("onnx", 0.95, 0.8)], {}, {}, {"onnx": 0.9}), "publish.max_regression"),
    ],
)
def test_checks_server_and_version_before_count(evidence: Evidence, reason: str) -> None:
    verdicts = judge_variants(evidence, CONFIG)
    assert reason in verdicts[0].reasons[0]
    assert reason in verdict_table(evidence, verdicts).splitlines()[-1]


def test_a_check_that_failed_without_a_reason_refuses_all_the_same() -> None:
    evidence = Evidence([measured("onnx", 0.95, 0.8)], {}, {"onnx": replace(FAILED, reasons=[])}, {})
    assert judge_variants(evidence, CONFIG)[0].reasons == ("it is not what was trained",)


def test_evidence_that_speaks_for_a_variant_refuses_nothing() -> None:
    onnx = measured("onnx", 0.95, 0.8)
    passed = replace(FAILED, passed=True, reasons=[])
    served = Measured("onnx", "gRPC", 0.0, {"test": Scores(0.797, 0.95, 0.95, {})})
    assert judge_variants(Evidence([onnx], {"onnx": served}, {"onnx": passed}, {"onnx": 0.804}), CONFIG)[0].allowed


def test_every_reason_is_told() -> None:
    bad = [measured("pytorch", 0.95, 0.8), measured("onnx", 0.5, 0.4)]
    evidence = Evidence(bad, {"onnx": measured("onnx", 0.5, 0.3)}, {"onnx": FAILED}, {"onnx": 0.8})
    good, refused = judge_variants(evidence, CONFIG)
    assert good.allowed
    assert len(refused.reasons) == 7  # two splits differ from PyTorch, and two from the server


def test_the_table_has_a_line_for_each_variant_and_split_and_the_reasons_below() -> None:
    both = [measured("pytorch", 0.95, 0.8), measured("onnx", 0.5, 0.8)]
    evidence = Evidence(both, {"onnx": measured("onnx", 0.5, 0.8)}, {"onnx": replace(FAILED, passed=True)}, {})
    head, *lines = verdict_table(evidence, judge_variants(evidence, CONFIG)).splitlines()
    assert head.split() == ["variant", "split", "mAP50", "mAP50-95", "served", "alike", "verdict"]
    assert [line.split() for line in lines[:4]] == [
        ["pytorch", "val", "0.9500", "0.8000", "–", "–", "published"],
        ["pytorch", "test", "0.9500", "0.8000", "–", "–", "published"],
        ["onnx", "val", "0.5000", "0.8000", "0.8000", "50.0%", "refused"],
        ["onnx", "test", "0.5000", "0.8000", "0.8000", "50.0%", "refused"],
    ]
    assert lines[4].startswith("  onnx: mAP50 0.5000 on test is below publish.minimum_map50")


def test_without_a_test_split_the_measured_one_is_held_against_the_minimum() -> None:
    only = Measured("onnx", "onnx", 1.0, {"val": Scores(0.5, 0.5, 0.5, {})})
    assert "0.5000 on val" in judge_variants(Evidence([only], {}, {}, {}), CONFIG)[0].reasons[0]
