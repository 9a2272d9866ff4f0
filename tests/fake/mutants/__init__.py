"""The fake with one of its rules turned over at a time, and what notices each."""
