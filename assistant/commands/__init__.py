"""One file a command; bodies import what they need when they run."""
