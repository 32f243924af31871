"""Photos for those who have none: a drawn set, and the reference data set to download.

Does not know networks. Begin with `sample_set`.
"""
