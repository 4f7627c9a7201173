"""How the tables became what they are; Alembic's."""
