"""Pages and tables of scores from 1 to 5."""
