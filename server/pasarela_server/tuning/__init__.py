"""Finds, by measuring, with which settings a model is fastest on this machine."""
