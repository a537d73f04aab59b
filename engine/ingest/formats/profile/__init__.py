"""Formats that are written in TOML instead of Python: sensors, never people.

`language` says what a profile may hold, `compiler` makes one function of it, `library`
finds it. The reference for who writes one is `deploy/sources/mapping.md`.
"""
