"""How finished files are kept: written whole, under a lock, and verified before they are read."""
