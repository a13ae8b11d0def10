"""Speed and memory, measured beside what a user would use instead. See README.md in this folder."""
