"""The `verify` stage: every variant served and measured over gRPC, before anything is published."""
