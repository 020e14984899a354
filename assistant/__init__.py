"""The program: command line, settings, chat models and the answer engine."""

__version__ = "0.1.0"
