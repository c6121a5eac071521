"""What a scenario comes to: steps, the times at which requests are due, and who sends which. Pure."""
