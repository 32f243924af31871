"""Numbers, pictures and the page that say how good probabilities are.

Does not choose or read photos. Begin with `metrics`, then `calibration` and `report`.
"""
