"""Which rate a server can carry: what is tried next, and when the answer is known. Pure."""
