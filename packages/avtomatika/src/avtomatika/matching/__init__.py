"""Which worker may have which task: pure choice."""
