"""From races to edits: one guard plan per place, the statements it holds a lock over, and the proof that it mends."""
