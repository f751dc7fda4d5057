"""Re-rankers whose scores come from a server that runs the model."""
