"""Admin: the HTTP server beside a role: health, metrics, JSON, the live page. It reads what the roles write."""
