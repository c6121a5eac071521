"""From single requests to batches and back: the queue, the decision, the instances."""
