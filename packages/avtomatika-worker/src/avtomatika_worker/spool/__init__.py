"""Results on disk until they are acknowledged."""
