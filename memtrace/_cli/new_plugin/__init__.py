"""``memtrace-sdk new``: names, templates, and a folder that becomes a package. `templates` has a folder for each kind."""
