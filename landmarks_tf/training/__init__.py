"""The main job: from a data folder to a run folder.

Does not print. Begin with `train`.
"""
