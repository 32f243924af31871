"""Which photos are the same picture: a perceptual hash, and groups by it.

Owns the hash and the search. Does not read files and does not judge what a duplicate
means.
"""

import itertools
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from PIL import Image

# A perceptual hash by discrete cosine transform (C. Zauner, "Implementation and
# Benchmarking of Perceptual Image Hash Functions", 2010): which of the 16x16 lowest
# frequencies of a 32x32 grey picture, less the constant one, exceed their median.
_SIDE = 32
_NUM_FREQUENCIES = 16
# The frequencies below this one, in both directions, come first: 63 bits, which
# survive re-encoding and resizing best, to find candidates by.
_CORNER = 8
_NUM_BLOCKS, _BLOCK_BITS = 7, 9
# Bits of 255. On 200 photos of landmarks50, eight ways of re-encoding, resizing and
# brightening changed at most 46; of 3.9 million pairs of its photos, two differ by so
# little, and both are the same picture; of 3.1 million pairs of drawn photos, one.
MAX_DISTANCE = 48
# Photos that share a key are each compared with so many others at most, so
# that the search never takes time with the square of the number of photos.
_WINDOW = 32
# Grey levels; the hash of a flatter picture is noise.
_MIN_CONTRAST = 2.0


def perceptual_hash(image: Image.Image) -> bytes:
    """Returns a photo's hash: 32 bytes, or none if it is too flat to have one.

    The hashes of a photo and of its copy in another size or quality differ in few
    bits, see `MAX_DISTANCE`.

    Args:
        image: the photo, upright.
    """
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(grey, np.float64)
    if pixels.std() < _MIN_CONTRAST:
        return b""
    coefficients = (_COSINES @ pixels @ _COSINES.T).ravel()[_ORDER]
    return np.packbits(coefficients > np.median(coefficients)).tobytes()


def group_duplicates(
    contents: Sequence[str], hashes: Sequence[bytes]
) -> list[list[int]]:
    """Returns which photos are the same picture.

    Args:
        contents: a hash of each photo's bytes.
        hashes: the perceptual hash of each photo, or none.

    Returns:
        groups of two indices or more, each sorted, sorted by their first. A photo is
        in one group at most: a copy of a copy is in its group too.
    """
    parents = list(range(len(contents)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for first, second in itertools.chain(_same(contents), find_near(hashes)):
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    groups: dict[int, list[int]] = {}
    for index in range(len(contents)):
        groups.setdefault(root(index), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def find_near(hashes: Sequence[bytes]) -> list[tuple[int, int]]:
    """Returns pairs of indices whose hashes differ by `MAX_DISTANCE` bits or less.

    Candidates agree in two of seven blocks of the first 63 bits (multi-index hashing,
    M. Norouzi et al., "Fast Search in Hamming Space", 2012): none is missed whose first
    63 bits differ by five or fewer, unless more than 32 photos share those two blocks;
    then neighbours are compared, which connects most of them. Time grows with n log n.
    """
    indices_of: dict[bytes, list[int]] = {}
    for index, photo_hash in enumerate(hashes):
        if photo_hash:
            indices_of.setdefault(photo_hash, []).append(index)
    pairs = [pair for same in indices_of.values() for pair in itertools.pairwise(same)]
    if len(indices_of) > 1:
        # Sorted: among equal keys, neighbours are alike, whatever the photos' order.
        distinct = sorted(indices_of)
        near = _near_rows(np.array([np.frombuffer(h, np.uint8) for h in distinct]))
        indices = [indices_of[photo_hash][0] for photo_hash in distinct]
        pairs += [(indices[first], indices[second]) for first, second in near.tolist()]
    return pairs


def _near_rows(packed: np.ndarray) -> np.ndarray:
    """Returns int `[pairs, 2]`: rows of `packed` `[hashes, bytes]` that are near."""
    bits = np.unpackbits(packed[:, :8], axis=1)[:, : _NUM_BLOCKS * _BLOCK_BITS]
    blocks = bits.reshape(-1, _NUM_BLOCKS, _BLOCK_BITS) @ (1 << np.arange(_BLOCK_BITS))
    pairs = [np.empty((0, 2), int)]
    for one, other in itertools.combinations(range(_NUM_BLOCKS), 2):
        keys = blocks[:, one] << _BLOCK_BITS | blocks[:, other]
        order = np.argsort(keys, kind="stable")
        runs = np.arange(len(order))
        for step in range(1, min(_WINDOW, len(order) - 1) + 1):
            is_same_key = keys[order[:-step]] == keys[order[step:]]
            if not is_same_key.any():
                break
            # What a run of near neighbours connects needs no comparing.
            places = np.flatnonzero(is_same_key & (runs[:-step] != runs[step:]))
            candidates = np.stack([order[places], order[places + step]], axis=1)
            differing = packed[candidates[:, 0]] ^ packed[candidates[:, 1]]
            is_near = np.bitwise_count(differing).sum(axis=1) <= MAX_DISTANCE
            pairs.append(candidates[is_near])
            if step == 1:
                breaks = np.ones(len(order), int)
                breaks[places[is_near] + 1] = 0
                runs = np.cumsum(breaks)
    return np.concatenate(pairs)


def _same(contents: Sequence[str]) -> Iterator[tuple[int, int]]:
    first_of: dict[str, int] = {}
    for index, content in enumerate(contents):
        first = first_of.setdefault(content, index)
        if first != index:
            yield first, index


def _cosines() -> np.ndarray:
    """Returns the lowest rows of the DCT-II matrix, `[frequencies, side]`."""
    frequencies = np.arange(_NUM_FREQUENCIES)[:, np.newaxis]
    return np.cos(np.pi * frequencies * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE))


def _order() -> np.ndarray:
    """Returns the flat places of all frequencies but the constant, corner first."""
    down, across = np.divmod(np.arange(_NUM_FREQUENCIES**2), _NUM_FREQUENCIES)
    is_outside = np.maximum(down, across) >= _CORNER
    return np.argsort(is_outside, kind="stable")[1:]


_COSINES = _cosines()
_ORDER = _order()
