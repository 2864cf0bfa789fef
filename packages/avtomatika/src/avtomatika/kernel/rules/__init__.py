"""The rules, one module per cause."""
