"""Models behind an OpenAI-compatible server: asked over HTTP, fed the frames of the policy."""
