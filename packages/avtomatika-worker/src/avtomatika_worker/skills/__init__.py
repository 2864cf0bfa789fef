"""What a skill is: its handler, its parameters, and what comes of a call."""
