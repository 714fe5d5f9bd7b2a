"""What entry does a client's own configuration need, and how does it get there without harm to anything else in it?

`known` says where each client keeps its tool servers and what an entry looks like; `jsonc` and `toml` put one into the
text and take it out again; `place` reads the file and replaces it whole, or not at all. No entry ever holds a secret.
"""
