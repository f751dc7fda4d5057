"""What every part of an experiment shares: checked arguments, an identity, a session."""
