"""The sections of a report's page, each made of its document."""
