"""Memory that clients and the server share: tensors placed there do not travel over the wire."""
