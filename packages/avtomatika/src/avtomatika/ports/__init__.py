"""What the system asks of the world: Protocols, their values and their errors."""
