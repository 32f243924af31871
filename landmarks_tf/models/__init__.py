"""Networks: one from scratch, one on a pre-trained backbone.

Does not train them. Begin with `presets`.
"""
