"""Odd inputs with the right answer to each: one module a kind, all tried by ``test_odd_inputs``."""
