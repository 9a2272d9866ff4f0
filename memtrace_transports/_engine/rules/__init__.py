"""What the server accepts, and how it selects and renders memories."""
