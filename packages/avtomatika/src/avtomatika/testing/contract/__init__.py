"""The contract suites, one module per group of promises. Derive from the classes that gather them."""
