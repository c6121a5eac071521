"""How a run goes: what its steps are, when they begin, what comes back, and when it is over."""
