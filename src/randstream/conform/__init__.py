"""Conformance: plays the rules of docs/protocol.md against an implementation, and reports which of them it breaks.

It speaks raw bytes and has its own small line reader, so that it shares no mistake with the project's own ends.
"""
