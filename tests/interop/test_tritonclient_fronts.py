"""NVIDIA's client gets the same answers through front processes."""

import json
import re

import pytest


@pytest.fixture(scope="module")
def fronted(repository, start_server):
    with start_server(repository, "--frontends", "2") as running:
        yield running


@pytest.fixture(scope="module")
def single(repository, start_server):
    with start_server(repository) as running:
        yield running


def named_alike(answers):
    """The answers without the numbers of processes, which name objects in shared memory."""
    return re.sub(r"(pasarela-\w+)-\d+", r"\1", json.dumps(answers, sort_keys=True))


@pytest.mark.parametrize("script", ["tritonclient_stream", "tritonclient_aio_stream", "tritonclient_shared_memory"])
def test_the_client_sees_no_difference(fronted, single, run_client, image, script):
    seen = [named_alike(run_client(script, running.address, image)) for running in (fronted, single)]
    assert seen[0] == seen[1]
