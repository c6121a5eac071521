"""How fast the conversion to COCO is, and how much memory it needs, at the size of the real dataset."""
