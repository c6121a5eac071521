"""Which variant of a detector to run: each is served by itself, loaded and judged, and stands in one table.

`python -m loadtest.variants` measures all raw detectors of a model repository.
"""
