"""Encoders without padding: one file a family, and the layers they share."""
