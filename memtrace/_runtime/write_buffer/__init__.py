"""Writing in the background: what is queued, the workers that send it, and who is told each outcome."""
