"""Conformance: plays the rules of docs/protocol.md against an implementation, and says which of them it breaks.

It speaks raw bytes and has its own small reading of lines, so that it shares no mistake with the project's own ends.
"""
