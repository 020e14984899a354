"""Answer-first Self-QA: choose what a sentence answers, then ask for it, by rule or with a model's help."""
