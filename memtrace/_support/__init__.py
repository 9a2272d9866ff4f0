"""Event loops, locks, numbers, URLs and error wording: nothing here knows Memtrace."""
