"""What the server and its models are told to do: parsed, checked, completed and frozen at the edge."""
