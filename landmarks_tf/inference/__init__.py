"""The recogniser: from a photo to its most likely landmarks, in a program or a server.

Does not train or export. Begin with `classifier`.
"""
