"""Who may call, and over what: certificates and tokens, read from files that may change while the server runs."""
