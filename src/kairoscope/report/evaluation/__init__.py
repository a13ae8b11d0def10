"""The page of an evaluation of times."""
