"""Top: the live page in a terminal, for one process or several. Polls admin servers; needs nothing else of a role."""
