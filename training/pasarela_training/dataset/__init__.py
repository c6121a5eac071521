"""Datasets in DeepFashion2's layout: reading, sampling, and conversion to COCO and YOLO."""
