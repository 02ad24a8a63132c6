"""All modules together: what names mean, what classes inherit, what values may flow where, and who calls whom."""
