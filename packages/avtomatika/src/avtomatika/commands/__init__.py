"""The use cases. Each loads what it needs, lets the kernel decide, and commits once."""
