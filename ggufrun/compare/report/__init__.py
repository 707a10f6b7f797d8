"""A comparison as people and programs read it: terminal, HTML page, JSON, CSV, pictures, one recommendation

Everything is made from a `results.Report`, whole or not: rows may have failed, and parts may be missing.
"""
