"""The subcommands of `pasarela`."""


class WrongUsage(Exception):
    """The arguments cannot be carried out; the message says which and why."""
