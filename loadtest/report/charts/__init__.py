"""Charts as SVG that takes its colours, sizes and letters from the page around it.

What is drawn lies in a square of 1000 × 1000 that the page stretches to whatever room there is; words stand beside it
as text of the page. So a chart is legible at any width, on light and dark, and on paper.
"""
