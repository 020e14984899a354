"""Training: from encoded rows to an adapter, with checkpoints that survive kills."""
