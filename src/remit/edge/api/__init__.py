"""The people's door: HTTP with JSON, over a unix socket or, for services, TCP."""
