"""The page on which a person corrects boundaries: a server for one annotated folder, on this machine."""
