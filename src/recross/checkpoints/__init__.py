"""Checkpoints: where they are, how they are loaded, and the contracts by which they score."""
