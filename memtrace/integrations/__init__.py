"""What connects Memtrace to other people's frameworks, one module or package each; none is loaded unless it is imported."""
