"""What a network learns from: groups, the steps made of them, and the files they are read from."""
