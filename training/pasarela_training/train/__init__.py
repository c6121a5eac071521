"""The `train` stage: phases of training, each from the weights of the one before, resumable at any epoch."""
