"""Looking: what a model found beside what is there, the worst images first."""
