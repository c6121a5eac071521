"""One examination: what is known before, what happens while the model is watched, what the rules make of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pasarela_client.connection import Connection
from pasarela_client.doctor.asking import AskedServer, read_traffic
from pasarela_client.doctor.diagnosis import diagnose
from pasarela_client.doctor.facts import Facts, Probes, Setup
from pasarela_client.doctor.finding import Finding, Severity
from pasarela_client.doctor.probing import Shapes, any_picture, probe, tensor_request, tensor_sender
from pasarela_client.doctor.readiness import judge_states
from pasarela_client.errors import InvalidModel, InvalidRequest, ModelNotFound, ModelUnavailable
from pasarela_client.images import read_image
from pasarela_client.sync.detector import Detector


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a model is to be examined."""

    seconds: float = 5.0
    """How long it is watched."""
    clients: int = 0
    """How many send requests of our own meanwhile; 0: nobody."""
    image: str = ""
    """The file that they send."""
    shapes: Shapes = field(default_factory=dict)
    """By input, the shape that they send, without its rows."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of it."""

    name: str
    version: str
    facts: Facts | None
    """None if the model is not ready."""
    findings: tuple[Finding, ...]
    """The worst first."""


def examine(
    url: str,
    name: str,
    version: str,
    wishes: Wishes,
    timeout_s: float | None,
    connection: Connection | None = None,
) -> Examination:
    """Examines a model. Takes as long as it is watched.

    Raises:
        ModelNotFound: The server has no such model.
        InvalidRequest: What was wished cannot be sent to this model.
        PasarelaError: The server did not say.
    """
    server = AskedServer(url, timeout_s=timeout_s, connection=connection)
    try:
        states = server.states(name)
        of_states = judge_states(name, version, states)
        if states and not any(state.ready for state in states):
            return Examination(name, version, None, tuple(of_states))
        asked = server.setup(name, version)
        runs, of_below = setup_below(server.setup, asked)
        if runs is None:
            return Examination(name, version, None, (*of_below, *of_states))
        facts = _watch(server, asked, runs, version, wishes)
    finally:
        server.close()
    worst = list(Severity)
    findings = sorted([*of_states, *diagnose(facts)], key=lambda finding: worst.index(finding.severity))
    return Examination(name, version, facts, tuple(findings))


def setup_below(setup: Callable[[str, str], Setup], asked: Setup) -> tuple[Setup | None, list[Finding]]:
    """The model that computes for another, or the same; None if it cannot, with the reason.

    Args:
        setup: Gives the setup of a model and version.
        asked: The model that was named.

    Raises:
        PasarelaError: The server did not say.
    """
    if not asked.below or asked.below == asked.name:
        return asked, []
    try:
        return setup(asked.below, asked.below_version), []
    except (ModelNotFound, ModelUnavailable, InvalidModel) as error:
        reason = Finding(
            "below-not-ready",
            Severity.PROBLEM,
            f"'{asked.name}' runs '{asked.below}', which is not ready: {error}",
            "it answers no request before the model below it is there",
            f"put '{asked.below}' right, or name another in config.pbtxt: "
            '`parameters { key: "model" value { string_value: "…" } }`',
        )
        return None, [reason]


def _watch(server: AskedServer, asked: Setup, runs: Setup, version: str, wishes: Wishes) -> Facts:
    send = _sender(server, asked, version, wishes) if wishes.clients else None
    below_version = version if runs is asked else asked.below_version
    before, below_before = server.counts(asked.name, version), server.counts(runs.name, below_version)
    begun_s = time.monotonic()
    if send is None:
        threading.Event().wait(wishes.seconds)
        probes = None
    else:
        probes = send(lambda: time.monotonic() - begun_s >= wishes.seconds)
    after, below_after = server.counts(asked.name, version), server.counts(runs.name, below_version)
    seconds = time.monotonic() - begun_s
    return Facts(
        asked,
        runs,
        read_traffic(before, after, seconds),
        read_traffic(below_before, below_after, seconds),
        probes,
    )


def _sender(server: AskedServer, asked: Setup, version: str, wishes: Wishes) -> Callable[[Callable[[], bool]], Probes]:
    """Sends probes until it is enough: images to a model that takes them, else tensors.

    Raises:
        InvalidRequest: What was wished cannot be sent.
    """
    if not wishes.image and asked.backend != "detection":
        request = tensor_request(asked, version, wishes.shapes)
        size = sum(map(len, request.raw_input_contents))
        sent = f"zeros of the model's shapes, {size / 1e3:,.0f} kB a request"
        tensors = tensor_sender(server, request)
        return lambda enough: probe(tensors, clients=wishes.clients, until=enough, sent=sent)
    if wishes.shapes:
        raise InvalidRequest(f"images are sent to '{asked.name}': their size is their own, and --shape says nothing")
    image = read_image(wishes.image) if wishes.image else any_picture()
    sent = f"{wishes.image}, {len(image) / 1e3:,.0f} kB" if wishes.image else "raw pixels, 640x480"

    def run(enough: Callable[[], bool]) -> Probes:
        with Detector(
            server.url, asked.name, version=version, timeout_s=server.timeout_s, connection=server.connection
        ) as detector:
            return probe(lambda: detector.detect(image).timings, clients=wishes.clients, until=enough, sent=sent)

    return run
