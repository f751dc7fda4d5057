"""The networks of re-rankers: torch modules, imported when a checkpoint is loaded."""
