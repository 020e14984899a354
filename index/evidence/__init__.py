"""What of a text supports what is said: sentences as spans, comparable words, lexical support."""
