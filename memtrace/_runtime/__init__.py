"""From a call's arguments to its result: configuration, the middleware chain, dispatch, workflows and the write buffer."""
