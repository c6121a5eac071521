"""Waits for what a server says."""

import re
import subprocess


def wait_for_log(server, pattern):
    """Follows the log of a running server until a line of it matches; the match."""
    follow = ["tail", "--follow", "--lines=+1", f"--pid={server.process.pid}", str(server.log)]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as tail:
        try:
            return next(found for line in tail.stdout if (found := re.search(pattern, line)))
        finally:
            tail.kill()
