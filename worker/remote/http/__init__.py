"""How requests travel: one HTTP client with retries, its addresses, heartbeats and errors. It knows no verb."""
