"""Keys: in files, at issuers, and what tokens made with them prove."""
