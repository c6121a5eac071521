"""What serving costs: bare engine, in-process pipeline and server, measured in one run."""
