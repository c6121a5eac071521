"""Those who ask: Locust users over real gRPC, one kind a file, and what all of one process share."""
