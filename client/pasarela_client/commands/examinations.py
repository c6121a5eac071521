"""An examination as a person reads it, and as a program does. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import Any, Final

from pasarela_client.commands.bars import format_stages
from pasarela_client.doctor.examination import Examination
from pasarela_client.doctor.facts import Facts, Probes, Setup
from pasarela_client.doctor.finding import Finding
from pasarela_client.statistics import ModelTraffic

_WIDTH: Final = 100
_KEPT: Final = "\N{NO-BREAK SPACE}"


def format_report(examination: Examination) -> str:
    """Everything that was found, for people."""
    version = f", version {examination.version}" if examination.version else ""
    lines = [f"{examination.name}{version}"]
    facts = examination.facts
    if facts is not None:
        lines += [f"  {line}" for line in (*_setup_lines(facts), *_traffic_lines(facts), *_probe_lines(facts.probes))]
        if stages := facts.stages_ns:
            source = "the probes" if facts.probes and facts.probes.staged else "the server's statistics"
            lines += ["", f"where a request's time goes (means, from {source})", format_stages(stages, indent="  ")]
    lines += ["", "findings" if examination.findings else "nothing was found that would need a word"]
    for finding in examination.findings:
        lines.append(_format_finding(finding))
    return "\n".join(lines)


def to_dict(examination: Examination) -> dict[str, Any]:
    """Everything that was found, in types that JSON knows."""
    facts = examination.facts
    found: dict[str, Any] = {
        "model": examination.name,
        "version": examination.version,
        "ready": facts is not None,
        "findings": [finding.to_dict() for finding in examination.findings],
    }
    if facts is not None:
        found |= {
            "runs": facts.runs.name,
            "instances": facts.runs.instances,
            "busy": round(facts.busy, 4),
            "traffic": _traffic_dict(facts.traffic),
            "executed": _traffic_dict(facts.executed),
            "stages_ms": {stage: round(ns / 1e6, 4) for stage, ns in facts.stages_ns.items()},
        }
        if facts.probes is not None:
            found["probes"] = {
                "clients": facts.probes.clients,
                "answered": len(facts.probes.timings),
                "errors": dict(facts.probes.errors),
                "close_reasons": facts.probes.close_reasons,
                "instances": facts.probes.instances,
            }
    return found


def _setup_lines(facts: Facts) -> list[str]:
    asked, runs = facts.asked, facts.runs
    if asked.name == runs.name:
        return [_setup_line(runs)]
    return [f"{asked.backend} over '{runs.name}', which is {_setup_line(runs)}"]


def _setup_line(setup: Setup) -> str:
    instances = f"{setup.instances} instance{'s' if setup.instances > 1 else ''}"
    parts = [setup.backend, setup.device, instances]
    if setup.max_batch_size:
        parts.append(f"up to {setup.max_batch_size} rows in a batch")
    parts.append(_batching(setup))
    return ", ".join(filter(None, parts))


def _batching(setup: Setup) -> str:
    if setup.batching is None:
        return "requests are not merged"
    preferred = f", preferably {', '.join(map(str, setup.batching.preferred))}" if setup.batching.preferred else ""
    return f"requests are merged{preferred}, queue delay {setup.batching.delay_us / 1e3:g} ms"


def _traffic_lines(facts: Facts) -> list[str]:
    traffic, executed = facts.traffic, facts.executed
    if not traffic.seconds:
        return ["the server keeps no statistics"]
    watched = (
        f"watched for {traffic.seconds:.1f} s: {traffic.answered.count} requests answered "
        f"({traffic.requests_per_s:.1f} a second), {traffic.failed.count} failed, "
        f"{facts.concurrency:.1f} in the server at a time"
    )
    lines = [watched]
    if executed.executions:
        sizes = ", ".join(f"{batch.executions} of {batch.rows}" for batch in executed.batches)
        lines.append(
            f"{executed.executions} batches of {executed.mean_batch_rows:.1f} rows on average ({sizes}); "
            f"instances busy {facts.busy:.0%}"
        )
    return lines


def _probe_lines(probes: Probes | None) -> list[str]:
    if probes is None:
        return []
    clients = f"{probes.clients} client{'s' if probes.clients > 1 else ''}"
    lines = [f"{len(probes.timings)} probes answered, from {clients}: {probes.sent}"]
    if probes.close_reasons:
        reasons = ", ".join(f"{reason} {count}" for reason, count in probes.close_reasons.items())
        instances = ", ".join(f"{instance}: {count}" for instance, count in probes.instances.items())
        lines.append(f"their batches were closed because: {reasons}; by instance {instances}")
    return lines


def _format_finding(finding: Finding) -> str:
    head = f"  {finding.severity.value.upper():8} "
    lines = [_wrapped(head, finding.seen)]
    if finding.why:
        lines.append(_wrapped("           why: ", finding.why))
    if finding.change:
        lines.append(_wrapped("           do:  ", finding.change))
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> str:
    """What stands between backticks is to be copied: it stays on one line."""
    kept = re.sub("`[^`]*`", lambda code: code[0].replace(" ", _KEPT), text)
    filled = textwrap.fill(
        kept,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_KEPT, " ")


def _traffic_dict(traffic: ModelTraffic) -> dict[str, Any]:
    return {
        "seconds": round(traffic.seconds, 3),
        "requests": traffic.answered.count,
        "failed": traffic.failed.count,
        "rows": traffic.rows,
        "batches": traffic.executions,
        "mean_batch": round(traffic.mean_batch_rows, 3),
        "concurrency": round(traffic.concurrency, 3),
        "batches_by_rows": {str(batch.rows): batch.executions for batch in traffic.batches},
    }
