"""Observe: what people and their tools see of a role: logs, metrics, the admin server and its page, `top`.

It looks, and changes nothing. The roles know only `tally`, `journal` and `status` of it; the rest knows the roles only
as `status` describes them.
"""
