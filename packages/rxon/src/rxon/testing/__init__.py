"""What implementations of the protocol are tested with."""
