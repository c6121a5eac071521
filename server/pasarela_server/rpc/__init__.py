"""The wire: protobuf and gRPC begin and end here."""
