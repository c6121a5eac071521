"""What `make benchmark` measures, one module each."""
