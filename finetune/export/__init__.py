"""Adapters for other programs: merged weights, GGUF with a Modelfile, a PEFT folder; and their check."""
