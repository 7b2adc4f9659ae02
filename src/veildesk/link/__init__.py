"""Hand over: the socket between a portal process and its gateway.

The gateway takes whatever comes over it for hostile. Knows the nouns of `core` and nothing else.
"""
