"""How a flow runs: its effects, the composition of middleware, and the two drivers."""
