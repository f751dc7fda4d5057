"""Work in pieces that many processes do: of this machine, of several, or actors of Ray."""
