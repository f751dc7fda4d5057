"""Re-rankers made of other re-rankers."""
