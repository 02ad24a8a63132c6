"""Findings drawn at random, each with a person's verdict."""
