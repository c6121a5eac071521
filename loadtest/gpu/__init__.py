"""What a GPU delivers: bare, in process and behind gRPC. For machines that have one; nothing here runs without."""
