"""What joins Memtrace to agents' frameworks: one module a framework, each with an extra of the same name."""
