"""The table of the sample set's landmarks and of the things that stand about them.

Owns which parts make up which landmark, and where. Does not own how a part is drawn
(`sample_parts`) nor the photo around a landmark (`sample_photo`).

A landmark lies within about -1.2 <= x <= 1.2 and 0 <= y <= 1.4 in scene units.
"""

import re

from landmarks_tf.sample_parts import PARTS
from landmarks_tf.sample_parts import Pen

Part = tuple[str, list[float], list]

# A drawing a line: its name, then its parts, each one of `PARTS` or a drawing of this
# table, with its numbers; a comma list in first place repeats the part at each x.
# Landmarks begin with a capital; the others are unit drawings for `Pen.at`.
TABLE = r"""
cone: poly 0 roof -.5 0 .5 0 0 1
dome: beam 0 .9 0 .3 .04 roof_shade; half 0 0 1 1
onion: \
  poly 0 roof -.35 0 -.53 .2 -.5 .42 -.25 .66 -.06 .8 0 1.1 .06 .8 .25 .66 .5 .42 .53 \
  .2 .35 0
crown: slab 0 0 1.12 .5; slab -.46,-.15,.15,.46 .5 .18 .5
shaft: slab 0 0 1 1; windows 0 .1 .5 .85 1 4
tower: shaft 0 0 1 .72; cone 0 .72 1.15 .28
spire: shaft 0 0 1 .55; cone 0 .55 1.1 .45
tier: slab 0 0 .56 .7; windows 0 0 .5 .66 3 1; slab 0 .55 1 .18 .8 roof; \
  slab 0 .66 .9 .36 .5 roof
storey: slab 0 0 1 1; niches 0 .1 .95 .7 4; slab 0 .9 1.08 .12 1 trim
clock: disc 0 0 1 1 dark; disc 0 0 .86 .86 pale; beam 0 0 0 .7 .12 dark; \
  beam 0 0 .5 -.1 .12 dark
head: slab 0 0 .8 .4 1.1; disc 0 .6 .5 .4 wall; disc -.2,.2 .68 .12 .05 dark; \
  slab 0 .42 .22 .28 .5 trim; beam -.2 .3 .4 0 .03 dark
shell: poly 0 roof -.5 0 -.42 .5 -.1 .85 .45 1 .3 .5 .34 0
falls: slab 0 0 1.2 1 .85 pale; beam -.3,-.1,.1,.3 0 0 1 .02 pale_shade; \
  disc -.5,-.2,.2,.5 .02 .3 .07 pale
oak: beam 0 0 0 .5 .1 dark; disc -.15,.15 .55 .2 .18 leaf; disc 0 .75 .22 .2 leaf
pine: beam 0 0 0 .3 .1 dark; poly 0 leaf -.3 .2 .3 .2 0 .7; \
  poly 0 leaf -.22 .5 .22 .5 0 1
bush: disc 0 .3 .5 .35 leaf
person: slab 0 0 .28 .75 .8 cloth; disc 0 .86 .13 .13 dark
lamp: beam 0 0 0 1 .06 dark; disc 0 1 .1 .1 glass
car: slab 0 .1 1 .25 .95 cloth; slab 0 .34 .6 .2 .7 dark; disc -.3,.3 .1 .1 .1 dark
boat: slab 0 0 .7 .2 1.4 cloth; slab 0 .2 .4 .15 .9 pale
Three_Arch_Bridge: arcade 0 0 2.4 .62 3 .52; slab -1.6,1.6 0 .8 .62; \
  slab 0 .6 4 .09 1 trim
Single_Arch_Bridge: arcade 0 0 2.4 .8 1 .66 .62; slab -1.6,1.6 0 .8 .8; \
  slab 0 .78 4 .09 1 trim
Double_Deck_Aqueduct: arcade 0 0 2.9 .5 4 .42; arcade 0 .5 2.9 .42 7 .32; \
  slab 0 .9 3 .06 1 trim
Twin_Pylon_Suspension_Bridge: slab 0 .3 3 .08; cable -1.3,0,1.3 1.15 1.3 .75 .34; \
  slab -.65,.65 0 .14 1.2
Zigzag_Truss_Bridge: truss 0 .42 2.6 .5 6; slab 0 .36 2.9 .09 1 trim; \
  slab -.85,.85 0 .16 .36
Single_Mast_Cable_Bridge: fan 0 .3 1.25 1.05 6; slab 0 .25 3 .08; slab 0 0 .14 1.4 .6
Twin_Tower_Drawbridge: slab -1.1,1.1 .22 .7 .1; tower -.62,.62 0 .3 1.25; \
  beam -.45 .26 .33 .34 .07 trim; beam .45 .26 -.33 .34 .07 trim; \
  slab 0 .74 1 .06 1 trim
Sail_Roof_Hall: slab 0 0 2.3 .16; shell -.75 .16 .6 .5; shell .55 .16 .9 .72; \
  shell -.2 .16 .85 .95
Arcade_Arena: slab 0 0 2.2 .75 1.04; disc 0 .75 1.14 .16 wall; \
  disc 0 .76 1.02 .11 dark; niches 0 .06 2.15 .22 11; niches 0 .32 2.15 .22 11; \
  slab 0 .3 2.2 .02 1 trim; slab 0 .56 2.2 .02 1 trim
Four_Tower_Castle: slab 0 0 1.7 .45; crown -.5,.5 .45 .8 .1; \
  tower -.35,.35 0 .28 1.25; tower -.9,.9 0 .34 .98; niches 0 0 .4 .32 1
Geodesic_Sphere: beam -.4 0 .1 .4 .06; beam .4 0 -.1 .4 .06; beam 0 0 0 .4 .06; \
  disc 0 .75 .6 .6 wall; mesh 0 .75 .6
Long_Battlement_Wall: slab 0 0 2.9 .36; crown -1.2,-.5,.5,1.2 .36 .62 .12; \
  slab -1,0,1 0 .36 .6; crown -1,0,1 .6 .36 .13; niches -1,0,1 .3 .3 .2 1
Single_Spire_Chapel: slab .3 0 1 .4; cone .3 .4 1.16 .28; spire -.35 0 .34 1.35; \
  niches .4 .08 .7 .24 3
Twin_Spire_Cathedral: slab 0 0 .8 .7; cone 0 .7 .6 .25; disc 0 .55 .14 .14 glass; \
  spire -.42,.42 0 .34 1.45; niches 0 0 .5 .3 1
Leaning_Arcade_Tower: rank -.15 0 .55 1.3 .2
rank: storey 0 0 1 .17; storey 0 .17 1 .17; storey 0 .34 1 .17; storey 0 .51 1 .17; \
  storey 0 .68 1 .17; storey 0 .85 .8 .15
Square_Clock_Tower: shaft 0 0 .42 .95; slab 0 .95 .5 .3; cone 0 1.25 .56 .25; \
  clock 0 1.09 .2 .17; slab -.6,.6 0 .8 .35; windows -.6,.6 0 .75 .35 5 2
Five_Tier_Pagoda: tier 0 0 1.2 .28; tier 0 .25 1.05 .28; tier 0 .5 .9 .28; \
  tier 0 .75 .76 .28; tier 0 1 .62 .28; beam 0 1.28 0 .2 .03
Two_Beam_Gate: slab -.55,.55 0 .14 1.05 .9; slab 0 .72 1.35 .09; \
  slab 0 1 1.8 .13 1.06 roof
Great_Dome_Hall: slab 0 0 2 .4; windows 0 0 1.9 .4 9 2; columns 0 0 .8 .4 5; \
  cone 0 .4 .95 .16; slab 0 .5 .7 .2; dome 0 .68 .8 .5
Three_Dome_Temple: slab 0 0 2.1 .45; niches 0 .05 2 .3 7; dome -.72,.72 .45 .6 .35; \
  dome 0 .45 .72 .5
Four_Minaret_Dome: slab 0 0 1.1 .5; niches 0 .04 .9 .38 3; onion 0 .5 .7 .5; \
  tower -1,-.72,.72,1 0 .12 1.15
Five_Onion_Dome_Church: slab 0 0 1.5 .4; slab -.6,.6 .3 .2 .3; slab -.32,.32 .4 .2 .4; \
  slab 0 .4 .28 .55; onion -.6,.6 .6 .3 .28; onion -.32,.32 .8 .3 .28; \
  onion 0 .95 .4 .38; niches 0 .05 1.3 .24 5
Six_Column_Temple: steps 0 0 2 .15 3 .9; slab 0 .15 1.5 .6 1 dark; \
  columns 0 .15 1.7 .6 6; slab 0 .75 1.85 .1; cone 0 .85 1.95 .32
Broken_Column_Ruin: steps 0 0 2.2 .12 2 .95; slab -.9,.9 .12 .17 .85; \
  slab -.52 .12 .17 .35; slab -.15 .12 .17 .95; slab .2 .12 .17 .2; \
  slab .55 .12 .17 .6
Smooth_Pyramid: poly 0 wall -1.1 0 1.1 0 0 1.25; beam -.85 .25 1.7 0 .006 wall_shade; \
  beam -.65 .5 1.3 0 .006 wall_shade; beam -.4 .75 .8 0 .006 wall_shade
Step_Pyramid: steps 0 0 2.1 .95 6 .3; slab 0 .95 .4 .2; slab 0 0 .3 .95 .8 trim; \
  niches 0 .95 .2 .13 1
Three_Pyramid_Field: poly -.8 wall -.45 0 .45 0 0 .55; poly .85 wall -.4 0 .4 0 0 .45; \
  poly .05 wall -.55 0 .55 0 0 .8
Lone_Obelisk: steps 0 0 .7 .15 3 .6; slab 0 .15 .26 1.05 .65; cone 0 1.2 .17 .16
Striped_Lighthouse: boulder 0 -.1 1.2 .3; slab 0 .1 .46 .96 .6 trim; \
  slab 0 .24 .43 .16 .93 roof; slab 0 .56 .36 .16 .93 roof; \
  slab 0 .88 .31 .16 .93 roof; slab 0 1.04 .4 .05 1 dark; slab 0 1.08 .2 .14 1 glass; \
  dome 0 1.22 .26 .13; slab .45 .1 .4 .2; cone .45 .3 .46 .15
Great_Cabin_Wheel: wheel 0 .75 .62
Four_Sail_Windmill: slab 0 0 .7 .85 .6; dome 0 .85 .44 .22; niches 0 0 .5 .24 1; \
  windows 0 .3 .3 .4 1 2; blades 0 .85 .65 4 .16
Three_Wind_Turbines: slab -.75,0,.75 0 .07 .85 .6; blades -.75,0,.75 .85 .42 3 .035
Standing_Stone_Circle: slab -.85,-.45,.45,.85 0 .2 .55 .9; slab -.65,.65 .55 .7 .14; \
  slab -.16,.16 0 .18 .7 .9; slab 0 .7 .6 .15; slab -1.15,1.15 0 .18 .4 .8
Three_Stone_Heads: head -.75,0,.75 0 .52 .95
Wide_Garden_Staircase: steps 0 0 2 .65 9 .8; slab -1.02,1.02 0 .26 .35; \
  disc -1.02,1.02 .45 .11 .11 trim; columns 0 .65 1.5 .24 9; slab 0 .88 1.6 .06 1 trim
Rider_Statue: steps 0 0 1.2 .12 2 .9; slab 0 .12 .9 .38; \
  beam -.3,-.2 .5 .03 .35 .07 trim; beam .2 .5 0 .35 .07 trim; \
  beam .25 .85 .23 -.17 .07 trim; disc 0 .9 .36 .13 trim; \
  beam .27 .92 .18 .26 .14 trim; beam .43 1.2 .2 -.12 .1 trim; \
  beam -.32 .94 -.13 -.3 .05 trim; slab -.02 .95 .15 .3 1.3 roof; \
  disc -.02 1.33 .08 .09 roof; beam .02 1.2 .2 -.12 .05 roof
Raised_Arm_Statue: steps 0 0 .9 .3 3 .7; slab 0 .3 .44 .6 .6 trim; \
  slab 0 .75 .3 .27 1.1 trim; disc 0 1.1 .08 .1 trim; \
  beam -.12 .98 -.14 -.28 .07 trim; beam .13 .97 .11 .35 .08 trim; \
  slab .25 1.32 .1 .06 1 dark; disc .25 1.42 .06 .08 pale
Single_Gate_Arch: arcade 0 0 1.5 1 1 .68 .42; slab 0 .8 1.66 .06 1 trim; \
  slab 0 1 1.66 .08 1 trim; slab -.55,.55 0 .1 .8 1 trim
Tall_Steel_Arch: bow 0 0 1.5 1.4 .16 0 trim
Cliff_Waterfall: cliff 0 0 2.6 1.1; falls 0 0 .36 1.08
Twin_Waterfall: cliff 0 0 2.6 .9; falls -.6,.6 0 .32 .88
Lone_Snow_Peak: peak 0 0 2.4 1.35 .35
Three_Peak_Range: peak -.85 0 1.3 .85 .3; peak .85 0 1.3 .75 .3; peak 0 0 1.3 1.05 .3
Flat_Top_Mesa: cliff 0 0 2.3 .35 .75; cliff 0 .3 1.5 .5 .92
Natural_Rock_Arch: bow 0 -.1 2 1.1 .42 .03 rock; boulder -.9,.9 -.1 .8 .4
Balancing_Rock: cliff 0 0 1.3 .22 .7; boulder 0 .15 .55 .35; boulder -.08 .45 1.4 .7
Smoking_Volcano: disc 0 .9 .12 .1 pale; disc .06 1.02 .17 .12 pale; \
  disc .2 1.18 .24 .15 pale; cliff 0 0 2.3 .85 .28; disc 0 .85 .33 .05 dark
Lattice_Iron_Tower: lattice 0 0 1 1.3; beam 0 1.3 0 .15 .02
Ball_Top_Tower: slab 0 0 .24 1 .4; disc 0 .98 .25 .25 wall; slab 0 .96 .5 .05 1 glass; \
  beam 0 1.2 0 .3 .03
Tall_Fountain: jets 0 .3 .6 3; slab 0 .15 .3 .2; slab 0 0 2 .16 1.05
"""


def parse(table: str) -> dict[str, list[Part]]:
    """Returns for each name its parts: what to draw, at which x, its other values."""
    scenes: dict[str, list[Part]] = {}
    for line in re.sub(r"\\\n", "", table).strip().splitlines():
        name, _, parts = line.partition(":")
        scenes[name] = []
        for what, xs, *rest in (part.split() for part in parts.split(";")):
            values = [word if word[0].isalpha() else float(word) for word in rest]
            scenes[name].append((what, [float(x) for x in xs.split(",")], values))
    return scenes


SCENES = parse(TABLE)


def draw_scene(pen: Pen, name: str) -> None:
    """Draws what the table calls `name`, its parts in the table's order."""
    for what, xs, values in SCENES[name]:
        for x in xs:
            if what in PARTS:
                PARTS[what](pen, x, *values)
            else:
                draw_scene(pen.at(x, *values), what)
