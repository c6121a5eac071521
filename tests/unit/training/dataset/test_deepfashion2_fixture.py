"""A DeepFashion2 folder written by hand from its documentation, in tests/data/deepfashion2."""

import json
import pickle
from pathlib import Path

from pasarela_training.config import SampleSection
from pasarela_training.dataset.sample import make_sample, read_sample
from pasarela_training.dataset.sources.recognise import open_source

FOLDER = Path(__file__).parents[3] / "data" / "deepfashion2"


def test_every_image_item_and_fault_is_accounted_for() -> None:
    source = pickle.loads(pickle.dumps(open_source(FOLDER)))
    assert source.layout == "DeepFashion2"
    entries, faults = source.entries(("train", "validation"))
    assert {str(entry.key): entry.image_id for entry in entries} == {
        "train/000001": 1,
        "train/000002": 2,
        "train/000003": 3,
        "train/000004": 4,
        "train/000005": 5,
        "train/000006": 6,
        "validation/000001": 1_000_001,
        "validation/000002": 1_000_002,
    }
    assert [(str(fault.key), fault.where, fault.kind) for fault in faults] == [
        ("validation/000004", "annotation", "missing annotation"),
        ("validation/000003", "image", "missing image"),
    ]
    read = {
        entry.key.name: source.read(entry) for entry in entries if entry.key.split == "train" and entry.image_id != 5
    }
    assert {name: [item.category_id for item in annotation.items] for name, (annotation, _) in read.items()} == {
        "000001": [1, 9],
        "000002": [1],
        "000003": [8, 5],
        "000004": [8],
        "000006": [10],
    }
    top, skirt = read["000001"][0].items
    assert (top.box, top.style, len(top.segmentation), len(top.landmarks)) == ((120, 94, 346, 312), 1, 2, 75)
    assert (skirt.style, len(skirt.landmarks)) == (0, 24)
    assert skirt.attributes == {"scale": 2, "occlusion": 1, "zoom_in": 1, "viewpoint": 2}


def test_a_sample_of_it_counts_what_is_there(tmp_path: Path) -> None:
    section = SampleSection(splits=("train", "validation"), group="garment", seed=1)
    make_sample(open_source(FOLDER), section, processes=1, max_broken=1, output=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert sum(counts["images"] for counts in manifest["splits"].values()) == 7
    assert sum(counts["items"] for counts in manifest["splits"].values()) == 10
    classes = {
        name: sum(counts["classes"][name] for counts in manifest["splits"].values())
        for name in manifest["splits"]["train"]["classes"]
    }
    assert {name: count for name, count in classes.items() if count} == {
        "short sleeve top": 2,
        "long sleeve outwear": 1,
        "vest": 1,
        "trousers": 2,
        "skirt": 1,
        "short sleeve dress": 1,
        "vest dress": 2,
    }
    assert manifest["faults"] == {
        "counts": {"dropped": 6},
        "kinds": {
            "broken file": 1,
            "missing annotation": 1,
            "missing image": 1,
            "missing key": 1,
            "no area": 1,
            "unknown category": 1,
        },
    }
    sides = {str(key): split for split, keys in read_sample(tmp_path).items() for key in keys}
    for pair in (
        ("train/000001", "train/000002"),
        ("train/000003", "train/000004"),
        ("validation/000001", "validation/000002"),
    ):
        assert len({sides[key] for key in pair}) == 1
