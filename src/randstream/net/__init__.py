"""Net: one socket and what is spoken there; timers, TLS, certificates."""
