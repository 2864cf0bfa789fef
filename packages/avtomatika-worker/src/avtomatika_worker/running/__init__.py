"""Handlers at work, within the limits."""
