"""Ways to compute the logits of a sequence classifier: one function per back-end."""
