"""Stores that keep their data in SQL."""
