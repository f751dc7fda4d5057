"""The page of a study: one self-contained file."""
