"""Measures, their significance, and the latency of a stage."""
