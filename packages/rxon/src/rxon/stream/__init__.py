"""RXON over one WebSocket: tasks are pushed as credits allow, results come back in batches."""
