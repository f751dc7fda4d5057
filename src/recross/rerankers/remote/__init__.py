"""Servers that are asked over HTTP: one connection, how long to wait, and many requests at once."""
