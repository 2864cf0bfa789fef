"""How to speak with orchestrators of each generation: one module for each.

``choice`` says which generation a server is of, ``generation`` what each of them does, ``signed`` holds what
all that demand signatures have in common. The generations are told apart by the version that a server names.
"""
