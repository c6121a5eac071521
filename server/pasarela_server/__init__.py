"""Pasarela's model server: from a model repository to detections over gRPC."""
