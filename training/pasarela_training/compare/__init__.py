"""Comparing how fast the variants are."""
