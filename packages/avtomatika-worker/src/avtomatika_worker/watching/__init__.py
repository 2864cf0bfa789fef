"""What is seen of a worker from outside: health, metrics, traces, log."""
