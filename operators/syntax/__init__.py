"""Everything that parses Python. It runs in a guarded child, because parsers die of legal files."""
