"""The graph of ``racelint graph``: entry points, the calls that lead from them to shared places, and the locks held."""
