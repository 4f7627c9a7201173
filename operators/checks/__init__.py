"""The judges, cheapest first. Each is a frozen dataclass with `local` and `judge`."""
