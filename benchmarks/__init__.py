"""Measurements of racelint on released packages: known races (``racebench``) and large code bases (``packages``)."""
