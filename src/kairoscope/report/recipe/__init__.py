"""The document of a recipe taken all the way."""
