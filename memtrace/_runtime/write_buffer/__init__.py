"""Writing in the background: the queue, the workers that send it, and the callbacks that get each outcome."""
