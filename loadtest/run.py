"""Starts the server, loads it with Locust, leaves a report: `python loadtest/run.py --help`."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.images import ROOT, NoImages, load_images
from loadtest.server_process import ServerDidNotStart, running_server, wait_until_ready
from loadtest.summary import format_summary, read_summary

_USERS: Final = {"unary": ("DetectUser",), "stream": ("StreamDetectUser",), "both": ("DetectUser", "StreamDetectUser")}
_FINISH_S: Final = 30
"""How long requests under way may take to finish when the run is over."""

_EPILOG = """\
examples:
  python loadtest/run.py                               8 users for 30 s on the models that ship with the project
  python loadtest/run.py --users 16 --run-time 2m      longer and harder
  python loadtest/run.py --model garments_onnx --calls unary
  python loadtest/run.py --url 10.0.0.5:8001           a server that runs already; it is not stopped

The users are a closed loop: each waits for an answer before it asks again, so a slow server is asked less often.
Locust's own page, to play with: locust -f loadtest/locustfile.py --host 127.0.0.1:8001

exit codes: 0 no request failed; 1 some did, or none was made; 2 wrong usage; 3 no server; 130 Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one load test and returns the exit code."""
    parser = _build_parser()
    arguments = parser.parse_args(argv)
    try:
        load_images(arguments.images)
    except NoImages as error:
        parser.error(str(error))
    report = arguments.reports / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    report.mkdir(parents=True)
    try:
        with _server(arguments, report) as url:
            print(f"{arguments.users} users for {arguments.run_time} on {arguments.model} at {url}", flush=True)
            locust = _run_locust(arguments, url, report)
    except ServerDidNotStart as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("loadtest: stopped", file=sys.stderr)
        return 130
    return _conclude(report, locust)


@contextlib.contextmanager
def _server(arguments: argparse.Namespace, report: Path) -> Iterator[str]:
    if arguments.url is None:
        print(f"starting a server on {arguments.model_repository} …", flush=True)
        with running_server(arguments.model_repository, report / "server.log", ready_s=arguments.ready) as url:
            yield url
    elif wait_until_ready(arguments.url, 10):
        yield arguments.url
    else:
        raise ServerDidNotStart(f"no ready server answers at {arguments.url}")


def _run_locust(arguments: argparse.Namespace, url: str, report: Path) -> int:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py"), "--headless"]
    command += ["--host", url, "--users", str(arguments.users), "--spawn-rate", str(arguments.users)]
    command += ["--run-time", arguments.run_time, "--stop-timeout", str(_FINISH_S), "--exit-code-on-error", "1"]
    command += ["--model", arguments.model, "--window", str(arguments.window)]
    command += ["--html", str(report / "report.html"), "--json-file", str(report / "stats")]
    command += ["--csv", str(report / "requests"), "--csv-full-history", "--only-summary", "--loglevel", "WARNING"]
    if arguments.images:
        command += ["--images", str(arguments.images)]
    command += _USERS[arguments.calls]
    with (report / "locust.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


def _conclude(report: Path, locust: int) -> int:
    stats = report / "stats.json"
    summaries = read_summary(stats) if stats.exists() else []
    if not summaries:
        print(f"loadtest: no request was made; see {report / 'locust.log'}", file=sys.stderr)
        return 1
    print(format_summary(summaries))
    print(f"report: {report / 'report.html'}")
    return 1 if locust or any(summary.failures for summary in summaries) else 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python loadtest/run.py",
        description="Starts the server, loads it with Locust users over gRPC, and leaves a report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--users", type=int, default=8, metavar="N", help="concurrent users (default: 8)")
    add("--run-time", default="30s", metavar="TIME", help="how long, as in 45s, 5m, 1h (default: 30s)")
    add(
        "--calls",
        choices=sorted(_USERS),
        default="both",
        help="Detect, StreamDetect or both (default: both)",
    )
    add("--model", default="garments", help="model to ask (default: garments)")
    add("--window", type=int, default=4, metavar="N", help="frames under way in each stream (default: 4)")
    add("--images", type=Path, metavar="DIR", help="folder of images to send (default: the project's samples)")
    add("--url", metavar="HOST:PORT", help="a server that runs already (default: one is started)")
    repository = ROOT / "model_repository"
    add("--model-repository", type=Path, default=repository, metavar="DIR", help="what the started server serves")
    add("--ready", type=float, default=180, metavar="S", help="seconds that it may take to get ready (default: 180)")
    reports = ROOT / "loadtest" / "reports"
    add("--reports", type=Path, default=reports, metavar="DIR", help="where reports go (default: loadtest/reports)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
