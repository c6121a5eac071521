"""A backend in a process of its own: what ends that process ends no server."""
