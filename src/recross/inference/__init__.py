"""The engine: from texts to scores, whatever the network."""
