"""The only types that cross rooms: sources, facts, places, findings."""
