"""Other servers that do the same work, for `make benchmark-peers`."""
