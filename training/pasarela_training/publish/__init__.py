"""The `publish` stage: variants into the model repository, if what was measured allows it."""
