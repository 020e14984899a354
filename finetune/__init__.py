"""From passages to an adapter that has proved itself (the commands come with their issues)."""
