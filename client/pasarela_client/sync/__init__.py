"""The client for threads, generated from `pasarela_client.aio`; `concurrency` is the part written by hand."""
