"""Tables and plots of finished experiments."""
