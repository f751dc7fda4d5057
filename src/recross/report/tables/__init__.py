"""Tables of finished experiments and of checkpoints."""
