"""The client for asyncio, and the source that `pasarela_client.sync` is generated from."""
