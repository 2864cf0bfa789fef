"""How to speak with the servers of each generation: one module for each.

``choice`` says how a server wants to be spoken to, by the version that it names; ``speech`` is what all ways
to speak have in common, ``signed`` those of the generations that demand signatures.
"""
