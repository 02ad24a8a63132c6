"""Renderers of the graph of ``racelint graph``, one module per format; all are pure functions of it."""
