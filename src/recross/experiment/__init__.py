"""An experiment: its pipeline, its commands, its results."""
