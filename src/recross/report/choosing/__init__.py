"""What to use in production: measured choices as table, plot, page and one piece of advice."""
