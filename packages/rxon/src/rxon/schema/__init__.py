"""JSON Schemas of skills: made of Python types by ``extraction``, held against data by ``validation``.

``validation`` needs the extra ``schema``.
"""
