"""The command lines: one module a verb, with its flags and one call into the library.

Does no step of a job itself. Begin with `train`.
"""
