"""Renderers: pure functions from a result to text, one module per format."""
