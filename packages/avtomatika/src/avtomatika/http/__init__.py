"""The HTTP edge: decode, authorise, call one command, encode."""
