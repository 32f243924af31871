"""The table of the sample set's landmarks and of the things that stand about them.

Owns which shapes make up which landmark, and where. Does not own how a shape is painted
(`sample_parts`) nor the photo of a scene (`sample_photo`).

A landmark lies within about -1.2 <= x <= 1.2 and 0 <= y <= 1.4 in scene units.
"""

import itertools
import re
from collections.abc import Iterator

from landmarks_tf.samples import parts

# A drawing a line: its name, then its parts, in the order of painting. A part is
#   SHAPE X Y NUMBERS [COLOR[/WIDTH]]  filled, or a line of that width; default: wall
#   DRAWING X Y WIDTH HEIGHT [LEAN]    the middle of its foot is at X Y
#   DRAWING*3 X Y WIDTH HEIGHT         three beside each other across the width
#   DRAWING^3 X Y WIDTH HEIGHT [SHARE] three above each other, the last so much narrower
#   DRAWING@3 X Y WIDTH HEIGHT         three around X Y, from a random angle on
# A comma list repeats a part at each X and Y.
#
# Landmarks begin with a capital; their order numbers the classes. Names with numbers
# are scattered: how many (one of these), how far to a side, how high, how large (from,
# to). What stands before a landmark comes after it here, and is low or off to a side:
# it neither hides nor imitates a landmark.
TABLE = """
cone: poly 0 0 -.5 0 .5 0 0 1 roof
dome: line 0 .9 0 .3 roof_shade/.04; oval 0 0 .5 1 0 180 roof
onion: slab 0 0 .7 .6; poly 0 .55 -.3 0 -.5 .1 -.1 .3 0 .45 .1 .3 .5 .1 .3 0 roof
crown: slab 0 0 1.12 .5; slab -.46,-.15,.15,.46 .5 .18 .5
niche: slab 0 0 .64 .6 dark; oval 0 .6 .32 .4 0 180 dark
pane: slab 0 .25 .4 .5 glass
column: slab 0 0 .46 1 .85; slab 0 .94 .62 .06 trim
step: slab 0 0 1 1.02; slab 0 .75 1 .27 trim
bay: oval .04 .3 .38 .54 90 180 wall_shade/.06; poly 0 0 -.5 0 -.5 1 .5 1 .5 0 .36 0
  .36 .35 .31 .6 .18 .77 0 .84 -.18 .77 -.31 .6 -.36 .35 -.36 0 face
shaft: slab 0 0 1 1; pane^4 0 .1 .5 .85
tower: shaft 0 0 1 .68; cone 0 .68 1.15 .32
tier: slab 0 0 .56 .78; pane*3 0 0 .5 .7; slab 0 .6 1 .4 .5 roof
storey: slab 0 0 1 1; niche*4 0 .1 .95 .7; slab 0 .9 1.08 .12 trim
rank: storey^5 0 0 1 .85; storey 0 .85 .8 .15
band: slab 0 0 1 1 .9 trim; slab 0 .4 .98 .45 .94 roof
head: slab 0 0 .8 .6; oval 0 .6 .5 .4; oval -.2,.2 .65 .1 .05 dark; slab 0 .4 .2 .3 trim
shell: poly 0 0 -.5 0 -.42 .5 -.1 .85 .45 1 .3 .5 .34 0 roof
span: oval 0 2.25 .61 2.18 215 325 trim/.03; line -.25,.25 0 0 .3 trim/.01
strut: line -.5 0 .5 1 1 0 wall/.08; slab 0 .97 1 .08; slab 0 -.1 1.1 .2 trim
cross: line -.5 0 1 1 wall/.1; line .5 0 -1 1 wall/.1; slab 0 0 1.1 .12
blade: poly 0 0 .2 0 1 0 1 .24 .2 .24 trim; line 0 0 1 0 trim_shade/.03
spoke: line 0 0 1 0 wall_shade/.012; oval 1 0 .08 .08 roof
crack: poly 0 0 -.1 .1 0 .9 .15 .9 .05 .1 rock_shade
cliff: poly 0 0 -.5 0 -.46 1 .46 1 .5 0 rock; crack*9 0 0 .95 1
boulder: poly 0 0 -.5 .5 -.35 .1 0 0 .35 .1 .5 .5 .35 .9 0 1 -.35 .9 -.5 .5 rock
peak: poly 0 0 -.5 0 0 1 .5 0 rock; poly 0 0 0 1 -.17 .66 -.06 .74 .06 .66 .15 .7 pale
falls: slab 0 0 1.2 1 .85 pale; line -.3,-.1,.1,.3 0 0 1 pale_shade/.02
jet: oval -.5,.5 0 .5 1 0 180 pale/.06
cloud 0,0,2,4,6 0,1.6 .7,1.5 .2,.3: oval -.5,.5 .2 .4 .15 cloud; oval 0 .3 .45 .3 cloud
hill 0,0,4 0,2 -.1,.05 .3,.5: poly 0 0 -2 0 -1.2 .2 -.5 .5 0 .6 .6 .5 1.2 .2 2 0 far
house 0,0,20 0,2 0,.02 .15,.4: slab 0 0 1 1 far
ground 1 0,0 .02,.16 1,1: poly 0 0 -4 0 4 0 5 -2.5 -5 -2.5 ground
grass 4,8,14 0,2 -.8,0 .2,.9: line 0 0 1 0 leaf_shade/.01
Three_Arch_Bridge: bay*3 0 0 2.4 .64; slab -1.6,1.6 0 .8 .64; slab 0 .62 4 .09 trim
Single_Arch_Bridge: bay 0 0 2.4 .8; slab -1.6,1.6 0 .8 .8; slab 0 .78 4 .09 trim
Double_Deck_Aqueduct: bay*4 0 0 2.9 .5; bay*7 0 .5 2.9 .42; slab 0 .9 3 .06 trim
Twin_Pylon_Suspension_Bridge: span -1.2,0,1.2 .3 1.2 .9; slab 0 .3 3 .1;
  slab -.6,.6 0 .14 1.2
Zigzag_Truss_Bridge: slab -.85,.85 0 .16 .36; strut*6 0 .42 2.6 .5
Single_Mast_Cable_Bridge: slab 0 0 .14 1.4 .6; slab 0 .25 3 .08; line 0 .3 1.2 0 0 1.05
  -1.2 0 -.9 0 0 .95 .9 0 .6 0 0 .85 -.6 0 -.3 0 0 .75 .3 0 trim/.014
Twin_Tower_Drawbridge: slab -1.1,1.1 .22 .7 .1; tower -.62,.62 0 .3 1.25;
  line 0 .6 -.45 -.34 -.12 0 .12 0 .45 -.34 trim/.07; slab 0 .74 1 .06 trim
Sail_Roof_Hall: slab 0 0 2.3 .16; shell -.75,.65 .16 .7 .6; shell -.1 .16 .9 .95
Arcade_Arena: slab 0 0 2.2 .75 1.04; oval 0 .75 1.14 .16; oval 0 .76 1.02 .11 dark;
  niche*11 0 .06,.32 2.15 .22; slab 0 .3,.56 2.2 .02 trim
Four_Tower_Castle: slab 0 0 1.7 .45; crown -.5,.5 .45 .8 .1; niche 0 0 .4 .32;
  tower -.35,.35 0 .28 1.25; tower -.9,.9 0 .34 .98
Geodesic_Sphere: line -.4 0 .2 .5 .4 0 .6 .5 .8 0 wall/.06; oval 0 .75 .6 .6;
  oval 0 .75 .4 .6 trim/.016; oval 0 .75 .15 .6 trim/.016; oval 0 .75 .6 .3 trim/.016
Long_Battlement_Wall: slab 0 0 2.9 .36; crown -1.2,-.5,.5,1.2 .36 .62 .12;
  slab -1,0,1 0 .36 .6; crown -1,0,1 .6 .36 .13; niche -1,0,1 .3 .3 .2
Single_Spire_Chapel: slab .3 0 1 .4; cone .3 .4 1.16 .28; tower -.35 0 .34 1.35
Twin_Spire_Cathedral: slab 0 0 .8 .7; cone 0 .7 .6 .25; oval 0 .55 .14 .14 glass;
  niche 0 0 .5 .3; tower -.42,.42 0 .34 1.45
Leaning_Arcade_Tower: rank -.15 0 .55 1.3 .2
Square_Clock_Tower: shaft 0 0 .42 .95; slab 0 .95 .5 .3; cone 0 1.25 .56 .25;
  oval 0 1.09 .18 .16 pale; line -.07 1.07 .07 .02 0 .13 dark/.03; slab -.6,.6 0 .8 .35
Five_Tier_Pagoda: tier^5 0 0 1.2 1.28 .52; line 0 1.28 0 .2 wall/.03
Two_Beam_Gate: slab -.55,.55 0 .14 1.05 .9; slab 0 .72 1.35 .09; slab 0 1 1.8 .13 roof
Great_Dome_Hall: slab 0 0 2 .4; pane*9 0 0,.2 1.9 .2; column*5 0 0 .8 .4;
  cone 0 .4 .95 .16; slab 0 .5 .7 .2; dome 0 .68 .8 .5
Three_Dome_Temple: slab 0 0 2.1 .45; niche*7 0 .05 2 .3; dome -.72,0,.72 .45 .65 .45
Four_Minaret_Dome: onion 0 0 .9 .95; slab 0 0 1.1 .5; niche*3 0 .04 .9 .38;
  tower -1,-.72,.72,1 0 .12 1.15
Five_Onion_Dome_Church: onion 0 0 .4 1.25; onion -.32,.32 0 .3 1.05;
  onion -.6,.6 0 .3 .8; slab 0 0 1.5 .4; niche*5 0 .05 1.3 .24
Six_Column_Temple: step^3 0 0 2 .15 .9; slab 0 .15 1.5 .6 dark; column*6 0 .15 1.7 .6;
  slab 0 .75 1.85 .1; cone 0 .85 1.95 .32
Broken_Column_Ruin: step^2 0 0 2.2 .12 .95; slab -.9,.9 .12 .17 .85; slab .2 .12 .17 .2;
  slab -.52,.55 .12 .17 .4; slab -.15 .12 .17 .95
Smooth_Pyramid: poly 0 0 -1.1 0 1.1 0 0 1.25; line -.65 .5 1.3 0 wall_shade/.006
Step_Pyramid: step^6 0 0 2.1 .95 .3; slab 0 .95 .4 .2; slab 0 0 .3 .95 .8 trim
Three_Pyramid_Field: poly -.8,.85 0 -.45 0 .45 0 0 .5; poly .05 0 -.55 0 .55 0 0 .8
Lone_Obelisk: step^3 0 0 .7 .15 .6; slab 0 .15 .26 1.05 .65; cone 0 1.2 .17 .16
Striped_Lighthouse: boulder 0 -.1 1.2 .3; band^3 0 .1 .46 .96 .7; slab .45 .1 .4 .2;
  cone .45 .3 .46 .15; slab 0 1.05 .2 .17 glass; dome 0 1.22 .26 .13
Great_Cabin_Wheel: line -.34 0 .34 .75 .68 0 wall/.05; oval 0 .75 .62 .62 wall/.04;
  oval 0 .75 .53 .53 wall/.02; spoke@20 0 .75 .62 .62
Four_Sail_Windmill: slab 0 0 .7 .85 .6; dome 0 .85 .44 .22; niche 0 0 .5 .24;
  pane^2 0 .3 .3 .4; blade@4 0 .85 .65 .65
Three_Wind_Turbines: slab -.75,0,.75 0 .07 .85 .6; blade@3 -.75,0,.75 .85 .42 .2
Standing_Stone_Circle: slab -.85,-.45,.45,.85 0 .2 .55 .9; slab -.65,.65 .55 .7 .14;
  slab -.16,.16 0 .18 .7 .9; slab 0 .7 .6 .15; slab -1.15,1.15 0 .18 .4 .8
Three_Stone_Heads: head -.75,0,.75 0 .52 .95
Wide_Garden_Staircase: step^9 0 0 2 .65 .8; oval -1.02,1.02 .45 .11 .11 trim;
  slab -1.02,1.02 0 .26 .35; column*9 0 .65 1.5 .24; slab 0 .88 1.6 .06 trim
Rider_Statue: slab 0 0 .9 .5; slab 0 .95 .15 .3 1.3 roof; oval 0 1.33 .08 .09 roof;
  oval 0 .9 .36 .13 trim; line -.2,.2 .5 0 .4 trim/.07; line .27 .92 .2 .3 .3 .2 trim/.1
Raised_Arm_Statue: step^3 0 0 .9 .3 .7; slab 0 .3 .4 .75 .6 trim; oval 0 1.1 .1 .1 trim;
  line -.26 .7 .14 .28 .4 .28 .5 .62 trim/.07; oval .25 1.4 .07 .09 pale
Single_Gate_Arch: slab -.55,.55 0 .4 .9; bay 0 0 .9 .9; slab 0 .86 1.5 .16;
  slab 0 .8,1 1.66 .07 trim; slab -.55,.55 0 .1 .8 trim
Tall_Steel_Arch: oval 0 0 .7 1.35 0 180 trim/.13; oval 0 0 .7 1.35 0 60 trim_shade/.13
Cliff_Waterfall: cliff 0 0 2.6 1.1; falls 0 0 .36 1.08
Twin_Waterfall: cliff 0 0 2.6 .9; falls -.6,.6 0 .32 .88
Lone_Snow_Peak: peak 0 0 2.4 1.35
Three_Peak_Range: peak -.85 0 1.3 .85; peak .85 0 1.3 .75; peak 0 0 1.3 1.05
Flat_Top_Mesa: cliff 0 0 2.3 .35; cliff 0 .3 1.5 .5
Natural_Rock_Arch: poly 0 -.1 -1 0 -.87 .55 -.5 .95 0 1.1 .5 .95 .87 .55 1 0
  .55 0 .45 .45 0 .75 -.45 .45 -.55 0 rock_shade; boulder -.9,.9 -.1 .8 .4
Balancing_Rock: cliff 0 0 1.2 .22; boulder 0 .15 .55 .35; boulder -.08 .45 1.4 .7
Smoking_Volcano: oval 0 .95 .15 .13 pale; oval .2 1.18 .24 .15 pale; poly 0 0 -1.15 0
  -.32 .85 .32 .85 1.15 0 rock; crack*5 0 0 .8 .85; oval 0 .85 .33 .05 dark
Lattice_Iron_Tower: line -.5 0 .24 .4 .4 .85 .5 1.45 .6 .85 .76 .4 1 0 wall/.05;
  cross^2 0 0 .85 .4 .4; cross^3 0 .4 .42 .45 .2; cross^3 0 .85 .15 .4 .1
Ball_Top_Tower: slab 0 0 .24 1.45 .1; oval 0 .98 .25 .25; slab 0 .96 .5 .05 glass
Tall_Fountain: jet 0 .15 .2 .9; jet 0 .15 .44 .6; jet 0 .15 .66 .4; slab 0 0 2 .16
oak 0,1,2 1,1.6 -.3,0 .3,.6: line 0 0 0 .5 dark/.1; oval -.15,.15 .6 .25 .25 leaf
pine 0,0,1,2 1,1.6 -.3,0 .3,.6: line 0 0 0 .3 dark/.1; poly 0 0 -.3 .2 .3 .2 0 1 leaf
lamp 0,0,1,2 0,1.4 -.35,-.1 .25,.4: line 0 0 0 1 dark/.06; oval 0 1 .1 .1 glass
bush 0,1,3 0,1.5 -.4,-.12 .1,.2: oval 0 .3 .5 .35 leaf
person 0,1,3,6 0,1.4 -.4,-.12 .12,.2: slab 0 0 .28 .75 .8 cloth; oval 0 .86 .13 .13 dark
car 0,0,0,1,2 0,1.2 -.4,-.2 .25,.4: slab 0 0 1 .3 .95 cloth; slab 0 .3 .6 .2 .7 dark
rain 0,0,0,0,0,0,70 0,1.7 -.7,1.6 .06,.1: line 0 0 .2 1 far/.05
snow 0,0,0,0,0,0,0,0,0,0,70 0,1.7 -.7,1.6 .01,.03: oval 0 0 .5 .5 pale
"""


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _parse(text: str) -> Iterator[tuple[str, tuple]]:
    """Yields a part as often as it is repeated, with the arguments of its drawing."""
    word, xs, ys, *words = text.split()
    what, repeat, count = re.split("([*^@]|$)", word, maxsplit=1)
    color, _, width = (words.pop() if words[-1][0].isalpha() else "wall").partition("/")
    w, h, *more = numbers = [float(word) for word in words]
    n, shrink = int(count or 1), 1 - (more[0] if more else 1)
    for x, y, i in itertools.product(_numbers(xs), _numbers(ys), range(n)):
        if what in parts.SHAPES:
            yield what, (
                parts.SHAPES[what](*numbers) + (x, y),
                color,
                float(width or 0),
            )
        elif repeat == "*":
            yield what, (x + w * ((i + 0.5) / n - 0.5), y, w / n, h)
        elif repeat == "^":
            yield what, (x, y + h * i / n, w * (1 - shrink * i / (n - 1)), h / n)
        elif repeat == "@":
            yield what, (x, y, w, h, 0.0, i / n)
        else:
            yield what, (x, y, *numbers)


SCENES: dict[str, list[tuple[str, tuple]]] = {}
_SCATTER: dict[str, list[list[float]]] = {}
for _head, _parts in re.findall("(.+): (.+)", TABLE.replace("\n  ", " ")):
    _name, *_words = _head.split()
    SCENES[_name] = [part for text in _parts.split(";") for part in _parse(text)]
    _SCATTER[_name] = [_numbers(word) for word in _words]


def draw_scene(pen: parts.Pen, landmark: str) -> None:
    """Draws a landmark and the things that stand about it, from far to near."""
    for name, scatter in _SCATTER.items():
        # What is not scattered is a landmark, of which one is drawn, or a part.
        counts, *ranges = scatter or ([name == landmark], [0, 0], [0, 0], [1, 1])
        for _ in range(int(pen.rng.choice(counts))):
            x, y, size = (pen.rng.uniform(*limits) for limits in ranges)
            _draw(pen.at(x * pen.rng.choice((-1, 1)), y, size, size), name)


def _draw(pen: parts.Pen, name: str) -> None:
    for what, arguments in SCENES[name]:
        if what in parts.SHAPES:
            pen.paint(*arguments)
        else:
            _draw(pen.at(*arguments), what)
