"""Observe: what people and their tools see of a role: logs, metrics, the admin server and its page, `top`.

It looks, and changes nothing. `tally`, `journal` and `status` are what the roles know of it; the rest knows them only
as what `status` describes.
"""
