"""The report of a load test: what was measured, as one HTML file and as JSON.

`sampled` looks at the server while a load test runs, `write_report` makes the report out of the folder that it left;
`python -m loadtest.report FOLDER` makes it again.
"""
