"""Who runs a program. ``choice`` has the registry; to add an engine of the library's own, write a module and name it
there.
"""
