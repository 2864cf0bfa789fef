"""The language in which a process is written: blueprints, actions, and how handlers get their arguments."""
