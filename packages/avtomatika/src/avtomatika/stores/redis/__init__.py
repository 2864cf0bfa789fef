"""The store that several nodes share in one Redis or Valkey."""
