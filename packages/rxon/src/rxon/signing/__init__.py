"""Signatures of messages, tasks and chains.

``shared_key`` signs with a secret that both sides have, ``key_pair`` with Ed25519 (it needs the extra
``crypto``), ``chain`` signs the way of an event hop by hop, ``message`` puts a signature into a message and
judges one that arrived, and ``freshness`` says whether a message is of today. Keys and the time are always
arguments.
"""
