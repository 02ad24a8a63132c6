"""racelint finds shared-state races in Python controllers before they reach production."""

__version__ = "0.1.0"
