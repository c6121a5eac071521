"""How many processes, how many threads, how long to wait: small tables."""

from dataclasses import replace
from pathlib import Path

import pytest

from pasarela_server.frontends.settings import FrontSettings
from pasarela_server.frontends.sizing import has_gpu, image_threads, suggested_count
from pasarela_server.processes.restart import RestartDelay
from pasarela_server.security.certificates import CertificateFiles
from pasarela_server.security.settings import UNSECURED, SecuritySettings


@pytest.mark.parametrize(
    ("cores", "gpu", "count"),
    [
        pytest.param(2, False, 0, id="without a GPU the models need the cores"),
        pytest.param(64, False, 0, id="however many there are"),
        pytest.param(2, True, 0, id="two cores are busy with one process"),
        pytest.param(4, True, 1, id="the fewest that pay"),
        pytest.param(16, True, 10, id="three for four of the cores that the back leaves"),
    ],
)
def test_suggested_count(cores, gpu, count):
    assert suggested_count(cores, has_gpu=gpu) == count


@pytest.mark.parametrize(
    ("cores", "count", "threads"),
    [
        pytest.param(16, 3, 5, id="a share, rounded down"),
        pytest.param(16, 7, 2, id="the fewest, which one process keeps busy"),
        pytest.param(1, 8, 2, id="not fewer, however many fronts there are"),
    ],
)
def test_image_threads(cores, count, threads):
    assert image_threads(cores, count) == threads


def test_a_gpu_is_seen_by_its_device_file(tmp_path):
    assert not has_gpu(tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert has_gpu(tmp_path)


def test_the_delay_doubles_up_to_a_limit_and_begins_anew_after_a_long_life():
    delay = RestartDelay()
    assert [delay.after(0.0) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert delay.after(61.0) == 0.1
    assert delay.after(1.0) == 0.2


SECURED = SecuritySettings(
    CertificateFiles(Path("c"), Path("k"), Path("r")), Path("t"), {"trace": ("key", "value")}, 3, 2
)


@pytest.mark.parametrize(
    "security", [UNSECURED, SECURED, replace(SECURED, certificates=CertificateFiles(Path("c"), Path("k")))]
)
def test_settings_travel_as_text(security):
    settings = FrontSettings(1, 3, 4, "unix:/x", "::", 8001, 1024, "unavailable", 2, "{}", 60.0, security=security)
    assert FrontSettings.from_text(settings.to_text()) == settings


@pytest.mark.parametrize("text", ["", "[]", '{"index": 1}', '{"indices": 1}'])
def test_other_texts_are_no_settings(text):
    with pytest.raises(ValueError):
        FrontSettings.from_text(text)
