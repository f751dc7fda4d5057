"""Re-rankers that ask a language model and read its words."""
