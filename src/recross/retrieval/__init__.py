"""First stages: every one returns a run over the whole collection."""
