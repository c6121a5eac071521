"""Datasets as they lie on disk: one reader for each layout, all speaking in the terms of `dataset.records`."""
