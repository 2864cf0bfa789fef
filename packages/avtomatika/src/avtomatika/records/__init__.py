"""Adapters of the history port: tables of facts outside the store."""
