"""Texts by number: given ones, and those of a collection, whose tokens are kept."""
