"""An LLM as judge of texts: one field a question, 1 to 5, with controls that say what a score is worth."""
