"""From accepted examples to training rows: what the live retriever brings, in the prompt of `ask`."""
