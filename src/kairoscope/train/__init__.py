"""Post-training: flat loops over transformers models."""
