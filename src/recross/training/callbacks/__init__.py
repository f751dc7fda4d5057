"""What happens between the steps of a training, as Lightning calls it."""
