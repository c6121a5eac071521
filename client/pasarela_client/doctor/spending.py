"""Where does the time go, and what would save some? Rules: each looks at the facts and says one thing, or nothing.

Pure.
"""

from __future__ import annotations

from typing import Final

from pasarela_client.doctor.facts import NETWORK, Facts
from pasarela_client.doctor.finding import Finding, Severity

_ENOUGH: Final = 10
"""Requests before anything is concluded from them."""
_LARGE_BYTES: Final = 500_000
_SATURATED: Final = 0.85
"""From this share of the time on, instances count as always busy."""
_BEFORE_THE_BATCH: Final = ("decode_queue", "queue")
"""Where requests wait that find all instances busy: what is not needed yet is not decoded yet."""
_REJECTED: Final = ("QueueFull", "DeadlineExpired", "ModelUnavailable")


def no_traffic(facts: Facts) -> Finding | None:
    """Nothing was seen."""
    if facts.traffic.answered.count or facts.traffic.failed.count or facts.probes is not None:
        return None
    if not facts.traffic.seconds:
        return Finding(
            "no-statistics",
            Severity.NOTE,
            "the server keeps no statistics",
            "what it does can only be seen by asking it",
            "run this again with `--probe 4`: it then sends requests of its own, from 4 clients",
        )
    return Finding(
        "no-traffic",
        Severity.NOTE,
        f"nobody asked '{facts.asked.name}' for anything in {facts.traffic.seconds:.0f} s",
        "without requests there are no times to look at",
        "run this again while it is used, or with `--probe 4`: it then sends requests of its own, from 4 clients",
    )


def failures(facts: Facts) -> Finding | None:
    """Requests failed while the model was watched."""
    failed, answered = facts.traffic.failed.count, facts.traffic.answered.count
    if not failed:
        return None
    return Finding(
        "failures",
        Severity.PROBLEM,
        f"{failed} of {failed + answered} requests failed",
        "somebody got no answer",
        "the server's log and `nv_inference_request_failure` (by reason) of its metrics say why: REJECTED is too much "
        "load, or a timeout that is too short; OTHER are wrong requests",
    )


def probes_failed(facts: Facts) -> Finding | None:
    """Our own requests failed."""
    probes = facts.probes
    if probes is None or not probes.errors:
        return None
    listed = ", ".join(
        f"{count} {kind} ({probes.messages.get(kind, 'no reason given')})"
        for kind, count in sorted(probes.errors.items())
    )
    rejected = any(kind in _REJECTED for kind in probes.errors)
    return Finding(
        "probes-failed",
        Severity.PROBLEM,
        f"{sum(probes.errors.values())} of {len(probes.timings) + sum(probes.errors.values())} probes failed: {listed}",
        "the server refused or lost them" if rejected else "the model cannot answer what was sent",
        "send less at a time, give requests more time, or add room in config.pbtxt: `dynamic_batching { "
        "default_queue_policy { max_queue_size: 512 } }`"
        if rejected
        else "send what the model takes: `--image FILE`; if it does, the server's log says more",
    )


def saturated(facts: Facts) -> Finding | None:
    """All instances are busy and requests wait for one."""
    busy, waits = facts.busy, facts.share(*_BEFORE_THE_BATCH)
    if busy < _SATURATED or waits < 0.3:
        return None
    runs, executed = facts.runs, facts.executed
    rate = executed.rows / executed.seconds
    name = runs.name
    if facts.on_gpu and not runs.merges:
        change = "write into config.pbtxt: `dynamic_batching { }`"
    elif facts.on_gpu:
        change = f"a faster precision or a second GPU; `pasarela-server tune --model {name}` measures what pays"
    else:
        change = (
            "a faster variant (INT8), or a second server; more instances than cores only share them out. "
            f"`pasarela-server tune --model {name}` measures what this machine can do"
        )
    return Finding(
        "saturated",
        Severity.PROBLEM if waits >= 0.5 else Severity.ADVICE,
        f"all instances ({runs.instances}) are busy {busy:.0%} of the time; a request spends {waits:.0%} of its time "
        f"({facts.mean_ms(*_BEFORE_THE_BATCH):.1f} ms) waiting for one",
        f"the model gives about {rate:.0f} rows a second here, and is asked for more",
        change,
    )


def waits_though_free(facts: Facts) -> Finding | None:
    """Requests wait although the instances are mostly free."""
    waits = facts.share("queue")
    delay_us = facts.runs.batching.delay_us if facts.runs.batching else 0
    if facts.traffic.answered.count < _ENOUGH or not facts.executed.executions or delay_us:
        return None
    if facts.busy >= 0.6 or waits < 0.4:
        return None
    return Finding(
        "waits-though-free",
        Severity.ADVICE,
        f"a request waits {waits:.0%} of its time ({facts.mean_ms('queue'):.1f} ms), though the instances are busy "
        f"only {facts.busy:.0%} of the time",
        "requests come in bursts: many at once, then none",
        f"spread them out, or write into config.pbtxt: `instance_group [{{ count: {facts.runs.instances + 1} }}]`",
    )


def waits_for_the_pool(facts: Facts) -> Finding | None:
    """The threads that work on pixels are busy."""
    share = facts.share("decode_queue", "nms_queue")
    if share < 0.2 or facts.busy >= _SATURATED:
        return None
    return Finding(
        "waits-for-the-pool",
        Severity.ADVICE,
        f"images spend {share:.0%} of their time ({facts.mean_ms('decode_queue', 'nms_queue'):.1f} ms) waiting for a "
        "thread that decodes or suppresses",
        "the CPU pool has as many threads as cores, and shares the cores with the instances",
        "send smaller images, or let a client with cores to spare send raw pixels",
    )


def decoding_dominates(facts: Facts) -> Finding | None:
    """Pixels cost more than the network."""
    stages = ("decode", "letterbox") if facts.share("decode") else ("compute input",)
    share = facts.share(*stages)
    if share < 0.35 or (stages == ("compute input",) and facts.asked.name == facts.runs.name):
        return None
    size = next((spec.shape[-1] for spec in facts.runs.inputs if spec.shape and spec.shape[-1] > 3), 0)
    needed = f"; the network looks at {size} pixels" if size else ""
    smaller = (
        ', or let the server decode them smaller: `parameters { key: "jpeg_margin" value { string_value: "2" } }` in '
        f"the config.pbtxt of '{facts.asked.name}' (at least twice what the network sees; measure the accuracy)"
        if facts.asked.backend == "detection" and not facts.asked.jpeg_margin
        else ""
    )
    return Finding(
        "decoding-dominates",
        Severity.ADVICE,
        f"decoding and letterboxing take {share:.0%} of an image's time ({facts.mean_ms(*stages):.1f} ms)",
        f"large pictures are decoded and then made small{needed}",
        f"send JPEGs of about the network's size, or pixels that are decoded already{smaller}",
    )


def suppression_dominates(facts: Facts) -> Finding | None:
    """There are too many boxes."""
    stages = ("nms",) if facts.share("nms") else ("compute output",)
    share = facts.share(*stages)
    if share < 0.2 or (stages == ("compute output",) and facts.asked.name == facts.runs.name):
        return None
    return Finding(
        "suppression-dominates",
        Severity.ADVICE,
        f"suppression takes {share:.0%} of an image's time ({facts.mean_ms(*stages):.1f} ms)",
        "it costs by the number of boxes above the lowest score",
        "ask with a higher `confidence`, or write it into config.pbtxt: "
        '`parameters { key: "confidence" value { string_value: "0.25" } }`',
    )


def inference_dominates(facts: Facts) -> Finding | None:
    """The network itself takes the time, as it should."""
    share = facts.share("infer")
    if share < 0.6:
        return None
    return Finding(
        "inference-dominates",
        Severity.NOTE,
        f"the network takes {share:.0%} of a request's time ({facts.mean_ms('infer'):.1f} ms)",
        "that is as it should be: the rest costs little",
        "to be faster, take a smaller or quantised variant; "
        f"`pasarela-server tune --model {facts.runs.name}` measures what this machine can do",
    )


def moving_tensors(facts: Facts) -> Finding | None:
    """Large tensors cost more to move than they should."""
    size = facts.asked.input_bytes
    share = facts.share("receive", NETWORK)
    if facts.probes is None or size < _LARGE_BYTES or share < 0.3:
        return None
    return Finding(
        "moving-tensors",
        Severity.ADVICE,
        f"moving a request takes {share:.0%} of its time ({facts.mean_ms('receive', NETWORK):.1f} ms): its inputs are "
        f"{size / 1e6:.1f} MB",
        "tensors of pixels are twenty to fifty times as large as the JPEG that they came from",
        "send the JPEG to a detection model; or, on the same machine, put tensors into shared memory "
        "(docs/shared-memory.md)",
    )


def network_dominates(facts: Facts) -> Finding | None:
    """Client and network take more than the server."""
    share = facts.share(NETWORK)
    if facts.probes is None or share < 0.4 or facts.asked.input_bytes >= _LARGE_BYTES:
        return None
    return Finding(
        "network-dominates",
        Severity.NOTE,
        f"network and client take {share:.0%} of a request's time ({facts.mean_ms(NETWORK):.1f} ms)",
        "the server is not what is slow",
        "keep one connection and use a stream (`detector.stream`); run the client closer to the server",
    )


def instances_idle(facts: Facts) -> Finding | None:
    """One request at a time keeps one instance busy."""
    runs = facts.runs
    if runs.instances < 2 or facts.traffic.answered.count < _ENOUGH or facts.concurrency > 1.2 or runs.merges:
        return None
    return Finding(
        "instances-idle",
        Severity.ADVICE,
        f"{facts.concurrency:.1f} requests are in the server at a time; {runs.instances} instances are busy "
        f"{facts.busy:.0%} of the time",
        "a client that waits for each answer before it sends the next has one request under way; several get more out "
        "of the same cores",
        "send several at a time: more clients, or a stream (`detector.detect_stream(images, window=8)`)",
    )


RULES: Final = (
    failures,
    probes_failed,
    saturated,
    waits_for_the_pool,
    waits_though_free,
    decoding_dominates,
    suppression_dominates,
    moving_tensors,
    network_dominates,
    instances_idle,
    inference_dominates,
    no_traffic,
)
