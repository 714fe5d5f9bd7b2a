"""Everything that touches the world: doors, stores, keys, tool servers, the command line. Nothing decides here."""
