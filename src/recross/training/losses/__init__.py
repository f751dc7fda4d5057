"""What training minimises: losses over lists of scores, by kind."""
