"""What robots recorded: one reader and writer a format, and boundaries from robot state."""
