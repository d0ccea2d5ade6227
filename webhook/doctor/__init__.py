"""``python -m webhook doctor``: asks a running cluster what is wrong, and says how to mend it.

``gather`` asks, and takes no answer for an answer; ``checks`` decides, from what was found alone;
``report`` shows it.
"""
