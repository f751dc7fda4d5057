"""Which non-relevant documents a network learns from."""
