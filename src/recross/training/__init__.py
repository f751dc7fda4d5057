"""From candidates to a trained network; the only home of Lightning."""
