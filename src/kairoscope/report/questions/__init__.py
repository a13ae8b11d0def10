"""Pages and tables of questions."""
