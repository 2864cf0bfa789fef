"""The conversation with each orchestrator: what to say next, and who says it."""
