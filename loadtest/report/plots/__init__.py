"""The charts of a report, each made of its document."""
