"""Training groups in files as the field exchanges them, read line by line when asked for."""
