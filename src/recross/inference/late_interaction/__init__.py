"""Texts as vectors of their tokens, which late interaction compares."""
