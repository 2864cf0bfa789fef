"""RXON over HTTP, with aiohttp."""
