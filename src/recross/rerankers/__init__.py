"""Second stages: every one returns the candidates it was given, in a new order."""
