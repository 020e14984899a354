"""A conversation over the library: follow-up questions, sessions, reviewed answers, a plain line loop."""
