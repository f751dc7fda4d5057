"""Scores that are kept by (query, document) and by what computed them."""
