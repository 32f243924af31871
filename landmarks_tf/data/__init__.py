"""Photos and their labels: from a folder to batches of images.

Does not know networks. Begin with `photo`, what a photo is, then `photo_set` and
`pipeline`.
"""
