"""Frameworks behind one small contract."""
