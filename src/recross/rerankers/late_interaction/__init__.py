"""Late interaction: queries and documents as vectors of their tokens."""
