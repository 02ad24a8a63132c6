"""Front ends: source text to facts. Everything behind the facts is language neutral."""
