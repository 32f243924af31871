"""The files that servers and phones load, each compared with its model.

Does not train. Begin with `saved_model`, then `verify`.
"""
