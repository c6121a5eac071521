"""Waits for what a server says."""

import re
import subprocess


def wait_for_log(server, pattern, count=1):
    """Follows the log of a running server, all its processes', until so many lines of it match; the last match."""
    follow = ["tail", "--follow", "--lines=+1", f"--pid={server.process.pid}", str(server.log)]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as tail:
        try:
            matches = (found for line in tail.stdout if (found := re.search(pattern, line)))
            return [next(matches) for _ in range(count)][-1]
        finally:
            tail.kill()
