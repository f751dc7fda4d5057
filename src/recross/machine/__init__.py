"""What an experiment runs on: hardware targets, processors, packages."""
