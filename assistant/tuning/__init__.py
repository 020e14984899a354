"""`tune` put together from the settings: choices, rows, budget, training, gate, card."""
