"""What can be known of the images without building them; `make image-check` runs one."""

import io
import re
import shutil
import subprocess
import sysconfig
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from pasarela_server.config.server import ServerConfig, settings, variable

ROOT = Path(__file__).parents[3]
FILES = ("Dockerfile.cpu", "Dockerfile.gpu")


def steps(name: str) -> list[dict[str, Any]]:
    structure: list[dict[str, Any]] = DockerfileParser(fileobj=io.BytesIO((ROOT / name).read_bytes())).structure
    return structure


def stages(name: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for step in steps(name):
        if step["instruction"] == "FROM":
            current = step["value"].rpartition(" AS ")[2]
            found[current] = []
        elif found:
            found[current].append((step["instruction"], step["value"]))
    return found


@pytest.mark.parametrize("name", FILES)
def test_hadolint_has_nothing_to_say(name: str) -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, ROOT / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_what_is_built_unless_said_otherwise_serves_and_nothing_runs_as_root(name: str) -> None:
    found = stages(name)
    assert {"serve", "train"} <= found.keys()
    assert next(reversed(found)) == "serve"
    for stage in {"serve", "train", "loadtest"} & found.keys():
        assert ("USER", "10001:10001") in found[stage]
    assert ("STOPSIGNAL", "SIGTERM") in found["serve"]
    assert any(kind == "HEALTHCHECK" and '"pasarela-server", "health"' in said for kind, said in found["serve"])


def test_the_base_is_pinned_and_the_same_for_both() -> None:
    bases = {step["value"] for name in FILES for step in steps(name) if step["instruction"] == "ARG"}
    (base,) = bases
    assert re.fullmatch(r"BASE=\S+python:3\.\d+\.\d+-slim-[a-z]+", base)


def test_the_image_for_a_cpu_serves_without_pytorch() -> None:
    found = stages("Dockerfile.cpu")
    commands = [said for stage in ("serve-requirements", "serve-installed", "serve") for _, said in found[stage]]
    assert not any("torch" in command for command in commands)
    assert any("torch" in said for _, said in stages("Dockerfile.gpu")["serve-requirements"])


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_not_ignored(name: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [pattern for line in lines if line.startswith("!") for pattern in (line[1:], f"{line[1:]}/*")]
    for step in steps(name):
        if step["instruction"] == "COPY" and "--from" not in step["value"]:
            *sources, _ = step["value"].split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert any(fnmatch(source, pattern) for pattern in let_through), source


@pytest.mark.parametrize("name", FILES)
def test_variables_are_those_of_the_server(name: str) -> None:
    known = {variable(setting.name) for setting in settings()}
    said = set(re.findall(r"\b(PASARELA_\w+)=", (ROOT / name).read_text()))
    assert said
    assert said <= known


def test_compose_builds_and_mounts_what_is_there() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    for service in services.values():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in stages(service["build"]["dockerfile"])
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"], volume
    for name in ("server", "server-gpu"):
        grace_s = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace_s > ServerConfig(model_repository=ROOT).exit_timeout_secs, "who is killed loses requests"


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("gpu", 0, "gpu\n"),  # reason: who says so, knows
        ("cpu", 0, "cpu\n"),  # reason: also on a machine with a GPU
        ("tpu", 2, ""),  # reason: there is no such image
    ],
)
def test_the_hardware_may_be_named(kind: str, code: int, said: str) -> None:
    done = subprocess.run(
        [ROOT / "server/images/choose.sh"],
        env={"KIND": kind, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, said)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("GPU 0: a card (UUID: GPU-1)", "gpu\n"),  # reason: the driver answers with a card
        ("No devices were found", "cpu\n"),  # reason: a driver without a card
        (None, "cpu\n"),  # reason: no driver
    ],
)
def test_the_hardware_is_found_out(tmp_path: Path, listed: str | None, said: str) -> None:
    for tool in ("bash", "grep"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    if listed is not None:
        driver = tmp_path / "nvidia-smi"
        driver.write_text(f"#!/bin/sh\necho '{listed}'\n")
        driver.chmod(0o755)
    done = subprocess.run(
        ["bash", ROOT / "server/images/choose.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == said
