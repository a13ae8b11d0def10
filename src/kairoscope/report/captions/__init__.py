"""Pages and tables of captions."""
