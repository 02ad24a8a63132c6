"""From entry points to races: reachable accesses with the locks held, sharing, ordering, pairing."""
