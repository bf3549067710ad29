"""What each screen answers: one module a screen, each with its part of the table of routes."""
