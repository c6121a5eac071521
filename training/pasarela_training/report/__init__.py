"""One HTML file about a run: data, curves, figures, examples."""
