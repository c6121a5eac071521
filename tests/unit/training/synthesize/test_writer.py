from pathlib import Path

import pytest

from pasarela_training.synthesize import SynthesizeSettings, synthesize

SMALL = SynthesizeSettings(images=34, seed=5, width=96, height=120)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path) -> None:
    synthesize(tmp_path / "one", SMALL, processes=1)
    synthesize(tmp_path / "two", SMALL, processes=2)
    first = _files(tmp_path / "one")
    assert len(first) == 68
    assert first == _files(tmp_path / "two")


def test_a_file_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = SynthesizeSettings(images=5, seed=5, width=96, height=120)
    more = SynthesizeSettings(images=9, seed=5, width=96, height=120)
    synthesize(tmp_path / "few", few, processes=1)
    synthesize(tmp_path / "more", more, processes=1)
    assert _files(tmp_path / "few").items() <= _files(tmp_path / "more").items()


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    for seed in (1, 2):
        settings = SynthesizeSettings(images=2, seed=seed, width=96, height=120)
        synthesize(tmp_path / str(seed), settings, processes=1)
    first, second = _files(tmp_path / "1"), _files(tmp_path / "2")
    assert all(first[name] != second[name] for name in first)


def test_hard_pictures_can_be_made(tmp_path: Path) -> None:
    settings = SynthesizeSettings(images=24, width=96, height=120, difficulty="hard", class_prior="deepfashion2")
    report = synthesize(tmp_path / "hard", settings, processes=1)
    assert sum(report.items.values()) >= 24


def test_progress_counts_up_to_all_images(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    synthesize(tmp_path / "out", SMALL, processes=1, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == [16, 32, 34]
    assert {total for _, total in calls} == {34}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    report = synthesize(output, SynthesizeSettings(images=1, width=96, height=120), processes=1)
    assert report.output == output
    assert (output / "train" / "image" / "000001.jpg").is_file()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        synthesize(tmp_path / "out", SMALL)
    assert _files(tmp_path) == {"out/mine.txt": b"keep"}


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("keep", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        synthesize(tmp_path / "out", SMALL)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, processes: int) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "out", SMALL, processes=processes, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_no_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="processes must be at least 1"):
        synthesize(tmp_path / "out", SMALL, processes=0)
