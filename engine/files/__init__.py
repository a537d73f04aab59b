"""The files that describe a building: one reader each, pure functions over bytes.

A reader takes the bytes of a file and its name, for errors. What does not fit is a
`ConfigError` that names the file, the feature or line, and what to write instead. What
is passed by without harm is a `Remark`: an operator should hear of it, and `livefloor
check` says it.
"""
