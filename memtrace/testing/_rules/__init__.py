"""The rules of the contract of a transport, a class of tests for each concern."""
