"""Re-rankers that compare two documents at a time."""
