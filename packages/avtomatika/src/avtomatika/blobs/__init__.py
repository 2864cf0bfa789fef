"""Adapters of `ports.blobs`."""
