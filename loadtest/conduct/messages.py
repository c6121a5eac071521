"""What who conducts a run and those who send tell each other, by Locust's own messages."""

from __future__ import annotations

from typing import Final

BEGIN: Final = "pasarela-begin"
"""To each who sends: the scenario, the address, the clock, its share."""
STEPS: Final = "pasarela-steps"
"""To all who send: a lot of steps, with their times."""
FINISH: Final = "pasarela-finish"
"""To all who send: begin nothing more."""
END: Final = "pasarela-end"
"""To all who send: cut off what is under way, hand on the last records."""

RECORDS: Final = "pasarela-records"
"""From one who sends: requests that have ended."""
QUIET: Final = "pasarela-quiet"
"""From one who sends: everything of a lot of steps has ended."""
BROKEN: Final = "pasarela-broken"
"""From one who sends: a user has a fault of its own, and asks no more."""
ENDED: Final = "pasarela-ended"
"""From one who sends: there is nothing more to come."""
