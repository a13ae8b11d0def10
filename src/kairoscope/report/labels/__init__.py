"""What labels hold, and which are in doubt."""
