"""Deliveries to servers of clients: which addresses they may have, and the one that speaks HTTP."""
