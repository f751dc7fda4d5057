"""The command line: options to configs, configs to objects, objects to jobs."""
