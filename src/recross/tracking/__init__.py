"""Where an experiment says what it sees while it runs."""
