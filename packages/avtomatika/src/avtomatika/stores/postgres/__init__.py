"""The store that keeps everything in PostgreSQL, for any number of nodes."""
