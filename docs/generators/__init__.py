"""The pages of the reference that come from the code, one module for each."""
