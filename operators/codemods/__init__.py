"""Codemods that ship with Umbau: each one a module with a LibCST command and the EXAMPLES that document and test it."""
