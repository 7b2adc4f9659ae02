"""Finds what an agent need not see and masks it. Pure: text in, findings or masked text out.

`engine.find` looks, `apply` masks, `preview` prepares a check page, `stream` treats logs of any size.
Nothing here reads a file, a clock or a random source, and no value ever reaches a log or an error.
"""
