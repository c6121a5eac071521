"""Does the model batch, and does that pay? Rules: each looks at the facts and says one thing, or nothing. Pure."""

from __future__ import annotations

from typing import Final

from pasarela_client.doctor.facts import Facts, Setup
from pasarela_client.doctor.finding import Finding, Severity

_ENOUGH: Final = 10
"""Batches before anything is concluded from them."""
_ENOUGH_OF_A_SIZE: Final = 3
_PAYS: Final = 1.15
"""How much faster a row must be in a batch for batching to pay."""


def one_row_at_a_time(facts: Facts) -> Finding | None:
    """`max_batch_size` is 0 or 1."""
    runs = facts.runs
    if runs.max_batch_size > 1 or runs.batching is not None:
        return None
    fixed = runs.inputs[0].shape[0] if runs.inputs and runs.inputs[0].shape else -1
    artefact = f"; the first size of its input is fixed to {fixed}" if fixed > 0 else ""
    seen = f"'{runs.name}' has max_batch_size {runs.max_batch_size}: every request is executed alone{artefact}"
    if not facts.on_gpu:
        return Finding(
            "one-row-at-a-time",
            Severity.NOTE,
            seen,
            "on a CPU that costs nothing: parallel instances do what batches would (docs/decisions/0008)",
            "",
        )
    return Finding(
        "one-row-at-a-time",
        Severity.ADVICE,
        seen,
        "a GPU is mostly idle with one row at a time",
        "export the network with a free batch size (`yolo export … dynamic=True`) and write into config.pbtxt: "
        "`max_batch_size: 32` and `dynamic_batching { }`",
    )


def merges_nothing(facts: Facts) -> Finding | None:
    """There is no `dynamic_batching`."""
    runs = facts.runs
    if runs.max_batch_size < 2 or runs.batching is not None:
        return None
    seen = f"'{runs.name}' takes up to {runs.max_batch_size} rows, but requests are not merged: no dynamic_batching"
    if not facts.on_gpu:
        return Finding(
            "merges-nothing",
            Severity.NOTE,
            seen,
            "on a CPU that is right as a rule: one instance for each core computes side by side what a batch would "
            "compute one after the other (docs/decisions/0008)",
            f"nothing; `pasarela-server tune --model {runs.name}` measures whether this machine is an exception",
        )
    return Finding(
        "merges-nothing",
        Severity.ADVICE,
        seen,
        "a GPU is mostly idle with one row at a time",
        "write into config.pbtxt: `dynamic_batching { }`",
    )


def batches_of_one(facts: Facts) -> Finding | None:
    """`dynamic_batching` without room."""
    runs = facts.runs
    if runs.batching is None or runs.max_batch_size > 1:
        return None
    return Finding(
        "batches-of-one",
        Severity.ADVICE,
        f"'{runs.name}' has dynamic_batching, and max_batch_size {runs.max_batch_size}",
        "there is room for no second request in a batch",
        "write into config.pbtxt: `max_batch_size: 8` (the artefact must take it), or take dynamic_batching out",
    )


def never_two_waiting(facts: Facts) -> Finding | None:
    """Batches stay small because requests come one at a time."""
    runs, executed = facts.runs, facts.executed
    if not runs.merges or executed.executions < _ENOUGH or executed.mean_batch_rows >= 1.3:
        return None
    if facts.concurrency >= runs.instances + 0.5:
        return None
    fewer = " On a GPU, fewer instances help too: `instance_group [{ count: 1 }]`" if runs.instances > 1 else ""
    return Finding(
        "never-two-waiting",
        Severity.ADVICE,
        f"a batch has {executed.mean_batch_rows:.1f} rows; {facts.concurrency:.1f} requests are in the server at a "
        f"time, for {_instances(runs)}",
        "there is never a second request waiting that could share a batch",
        f"send more at a time: more clients, or a stream (`detector.detect_stream(images, window=16)`).{fewer}",
    )


def delay_for_nobody(facts: Facts) -> Finding | None:
    """Requests wait for company that does not come."""
    runs, executed = facts.runs, facts.executed
    if not runs.merges or runs.batching is None or not runs.batching.delay_us or executed.executions < _ENOUGH:
        return None
    delay_ms, waited_ms = runs.batching.delay_us / 1e3, facts.mean_ms("queue")
    if executed.mean_batch_rows >= 1.5 or not 0.5 * delay_ms <= waited_ms <= 2 * delay_ms:
        return None
    return Finding(
        "delay-for-nobody",
        Severity.ADVICE,
        f"requests wait {waited_ms:.1f} ms, the queue delay is {delay_ms:g} ms, and a batch has "
        f"{executed.mean_batch_rows:.1f} rows",
        "they wait for company that does not come",
        "write into config.pbtxt: `dynamic_batching { max_queue_delay_microseconds: 0 }` (what waits while all "
        "instances are busy is merged all the same)",
    )


def delay_too_long(facts: Facts) -> Finding | None:
    """Batches form, but waiting for them takes much longer than computing them, on instances that are mostly free."""
    runs, executed = facts.runs, facts.executed
    if not runs.merges or runs.batching is None or executed.executions < _ENOUGH or executed.mean_batch_rows < 1.5:
        return None
    took_ms, delay_ms, waited_ms = _took_ns(facts) / 1e6, runs.batching.delay_us / 1e3, facts.mean_ms("queue")
    if delay_ms < 2 * took_ms or waited_ms < delay_ms / 4 or facts.busy >= 0.6:
        return None
    return Finding(
        "delay-too-long",
        Severity.ADVICE,
        f"requests wait {waited_ms:.1f} ms for a batch that takes {took_ms:.1f} ms; the queue delay is {delay_ms:g} "
        f"ms, and the instances are busy {facts.busy:.0%} of the time",
        "most of the time goes into waiting, and there is room for smaller batches",
        f"write into config.pbtxt: `dynamic_batching {{ max_queue_delay_microseconds: {round(took_ms * 1000)} }}` "
        "(what a batch takes)",
    )


def delay_too_short(facts: Facts) -> Finding | None:
    """A GPU that is busy with small batches though many wait."""
    runs, executed = facts.runs, facts.executed
    if not (facts.on_gpu and runs.merges and runs.batching) or executed.executions < _ENOUGH or facts.busy < 0.8:
        return None
    took_ns = _took_ns(facts)
    reachable = min(float(runs.max_batch_size), facts.concurrency / runs.instances)
    if executed.mean_batch_rows >= reachable / 2 or runs.batching.delay_us * 1000 >= took_ns / 10:
        return None
    return Finding(
        "delay-too-short",
        Severity.ADVICE,
        f"a batch has {executed.mean_batch_rows:.1f} rows although {facts.concurrency:.0f} requests are in the server "
        f"at a time; it takes {took_ns / 1e6:.1f} ms, the queue delay is {runs.batching.delay_us / 1e3:g} ms",
        "an instance that becomes free leaves with the few that have arrived by then",
        "write into config.pbtxt: `dynamic_batching { max_queue_delay_microseconds: "
        f"{max(1, round(took_ns / 2000))} }}` (half of what a batch takes)",
    )


def preferred_never_reached(facts: Facts) -> Finding | None:
    """None of the preferred sizes occurs."""
    runs, executed = facts.runs, facts.executed
    if not runs.merges or runs.batching is None or executed.executions < _ENOUGH:
        return None
    preferred = runs.batching.preferred
    sizes = [batch.rows for batch in executed.batches]
    if not preferred or set(preferred) & set(sizes):
        return None
    seen = ", ".join(map(str, sizes))
    return Finding(
        "preferred-never-reached",
        Severity.ADVICE,
        f"preferred_batch_size is {', '.join(map(str, preferred))}; batches of {seen} rows were executed",
        "a preferred size only helps where it is reached",
        "take preferred_batch_size out of config.pbtxt: any batch then leaves as soon as an instance is free",
    )


def shapes_differ(facts: Facts) -> Finding | None:
    """Many wait, and yet batches stay small."""
    runs, executed = facts.runs, facts.executed
    if not (runs.merges and runs.has_free_sizes) or executed.executions < _ENOUGH:
        return None
    if executed.mean_batch_rows >= 1.5 or facts.concurrency < runs.instances + 2:
        return None
    return Finding(
        "shapes-differ",
        Severity.ADVICE,
        f"a batch has {executed.mean_batch_rows:.1f} rows although {facts.concurrency:.1f} requests are in the server "
        "at a time, and the inputs have free sizes",
        "requests of different shapes never share a batch",
        "send one size: pad or scale to it, or send images to a detection model, which letterboxes them to one size",
    )


def merging_on_a_cpu(facts: Facts) -> Finding | None:
    """Requests share a batch on one instance while another is free."""
    runs, executed = facts.runs, facts.executed
    if runs.device != "CPU" or not runs.merges or runs.instances < 2 or executed.executions < _ENOUGH_OF_A_SIZE:
        return None
    if executed.mean_batch_rows < 1.5 or facts.busy >= 0.7 or facts.concurrency < runs.instances:
        return None
    return Finding(
        "merging-on-a-cpu",
        Severity.ADVICE,
        f"{facts.concurrency:.1f} requests are in the server at a time and travel in batches of "
        f"{executed.mean_batch_rows:.1f} rows, while the instances are busy only {facts.busy:.0%} of the time",
        "one instance computes row after row what all of them could compute side by side (docs/decisions/0008)",
        "take dynamic_batching out of config.pbtxt, or at least its delay: "
        "`dynamic_batching { max_queue_delay_microseconds: 0 }`",
    )


def what_batching_gains(facts: Facts) -> Finding | None:
    """Rows per second in batches against rows alone, from what was executed."""
    took_ms = {batch.rows: batch.mean_ms for batch in facts.executed.batches if batch.executions >= _ENOUGH_OF_A_SIZE}
    largest = max(took_ms, default=1)
    if 1 not in took_ms or largest == 1:
        return None
    longer = took_ms[largest] / took_ms[1] if took_ms[1] else float(largest)
    gain = largest / longer if longer else 1.0
    seen = f"a batch of {largest} takes {longer:.1f} times as long as one row alone"
    if gain >= _PAYS:
        why = f"merging pays: {gain:.1f} times as many rows in the same time"
        return Finding("what-batching-gains", Severity.NOTE, seen, why, "")
    if facts.on_gpu or not facts.runs.merges:
        return None
    return Finding(
        "what-batching-gains",
        Severity.ADVICE,
        seen,
        "merging gains nothing here, and the first row of a batch waits for its last (docs/decisions/0008)",
        "take dynamic_batching out of config.pbtxt; one instance for each core is the default",
    )


def too_many_instances(facts: Facts) -> Finding | None:
    """Instances of one GPU take the rows from each other."""
    runs, executed = facts.runs, facts.executed
    if not (facts.on_gpu and runs.merges) or runs.instances < 3 or executed.executions < _ENOUGH:
        return None
    if executed.mean_batch_rows >= runs.max_batch_size / 4 or facts.concurrency < 2 * runs.instances:
        return None
    return Finding(
        "too-many-instances",
        Severity.ADVICE,
        f"{facts.concurrency:.0f} requests are in the server at a time; {_instances(runs)} share them in batches of "
        f"{executed.mean_batch_rows:.1f} rows",
        "on one GPU fewer instances with larger batches do more",
        "write into config.pbtxt: `instance_group [{ kind: KIND_GPU count: 2 }]`",
    )


def _took_ns(facts: Facts) -> float:
    """What a batch takes."""
    batches = facts.executed.batches
    return sum(batch.total_ns for batch in batches) / max(1, sum(batch.executions for batch in batches))


def _instances(setup: Setup) -> str:
    return f"{setup.instances} instance{'s' if setup.instances > 1 else ''}"


RULES: Final = (
    one_row_at_a_time,
    merges_nothing,
    batches_of_one,
    never_two_waiting,
    delay_for_nobody,
    delay_too_long,
    delay_too_short,
    preferred_never_reached,
    shapes_differ,
    merging_on_a_cpu,
    what_batching_gains,
    too_many_instances,
)
