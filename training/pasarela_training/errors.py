"""What can go wrong in the pipeline; each message says what was wrong, where, and what to do."""


class TrainingError(Exception):
    """A stage cannot go on; shown to the person as one line."""

    exit_code = 1


class ConfigError(TrainingError):
    """The configuration file cannot be used; one line for each thing wrong in it."""

    exit_code = 2


class PublicationRefused(TrainingError):
    """The measured figures do not allow publication; the message holds the table."""
