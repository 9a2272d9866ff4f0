"""The commands and their options, wired to what they do; what is heavy is imported when one runs."""
