"""Pages and tables of what a judge says."""
