"""From images to a published detector: synthesize, sample, convert, train, evaluate, export, publish."""
