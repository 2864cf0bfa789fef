"""What the machine has and how busy it is, and what orchestrators hear of it."""
