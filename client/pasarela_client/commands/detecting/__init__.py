"""What `pasarela detect` is made of."""
