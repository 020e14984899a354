"""From a question to a cited answer: retrieve, refuse or generate, check every citation."""
