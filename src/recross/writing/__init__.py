"""What is written: files that appear whole or not at all, and texts that formats read as text."""
