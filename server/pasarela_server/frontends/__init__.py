"""Several processes that answer clients, in front of the one that owns the models."""
