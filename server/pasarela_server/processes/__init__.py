"""What the server's processes share to talk to each other: frames of messages, memory, patience with those that die."""
