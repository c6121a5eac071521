"""The figure that wears the garments: pose, skeleton and bare body."""

import math
from dataclasses import dataclass

import numpy as np

from .geometry import Points, curve, ellipse, join, mirror, part, points, ribbon
from .settings import Profile

SHOULDER = (0.68, 0.32)
HIP = (0.33, 2.45)
UPPER_ARM, FOREARM = 1.3, 1.15
THIGH, SHIN = 1.7, 1.65
WAIST_Y = 1.62
BAND_Y = 1.9
SOLE = 6.15


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints of a pose; left is the viewer's left. Arms: shoulder, elbow, wrist. Legs: hip, knee, ankle."""

    left_arm: Points
    right_arm: Points
    left_leg: Points
    right_leg: Points


def _limb(start: tuple[float, float], angles: tuple[float, float], lengths: tuple[float, float]) -> Points:
    """A limb on the viewer's right; angles are degrees from straight down, outwards positive."""
    joints = [start]
    for angle, length in zip(angles, lengths, strict=True):
        x, y = joints[-1]
        joints.append((x + length * math.sin(math.radians(angle)), y + length * math.cos(math.radians(angle))))
    return points(*joints)


def _arm(rng: np.random.Generator, profile: Profile) -> Points:
    draw = rng.random()
    if draw < profile.folded_arm:
        angles = (rng.uniform(5, 15), rng.uniform(-110, -70))
    elif draw < 0.5:
        angles = (rng.uniform(12, 24), rng.uniform(4, 20))
    elif draw < 0.78:
        angles = (rng.uniform(22, 46), rng.uniform(15, 50))
    elif draw < 0.93:
        angles = (rng.uniform(38, 50), rng.uniform(-42, -26))
    else:
        angles = (rng.uniform(50, 85), rng.uniform(130, 175))
    return _limb(SHOULDER, angles, (UPPER_ARM, FOREARM))


def _leg(rng: np.random.Generator) -> Points:
    angle = rng.uniform(4, 10)
    return _limb(HIP, (angle, angle - rng.uniform(0, 7)), (THIGH, SHIN))


def pose(rng: np.random.Generator, profile: Profile) -> Skeleton:
    """Draw the pose of a standing person."""
    return Skeleton(mirror(_arm(rng, profile)), _arm(rng, profile), mirror(_leg(rng)), _leg(rng))


def flat_pose(rng: np.random.Generator) -> Skeleton:
    """The pose of a garment laid flat or on a hanger: symmetric, sleeves and legs apart."""
    spread = rng.uniform(20, 48)
    arm = _limb(SHOULDER, (spread, spread - rng.uniform(0, 18)), (UPPER_ARM, FOREARM))
    slant = rng.uniform(6, 12)
    leg = _limb(HIP, (slant, slant), (THIGH, SHIN))
    return Skeleton(mirror(arm), arm, mirror(leg), leg)


def torso() -> tuple[Points, ...]:
    """Bare trunk and neck."""
    side = curve(points((0.2, -0.02), (0.7, 0.17), (0.63, 0.8), (0.52, WAIST_Y), (0.68, 2.4), (0.4, 2.85)))
    neck = points((-0.19, -0.5), (0.19, -0.5), (0.22, 0.1), (-0.22, 0.1))
    return (join(side, mirror(side)[::-1]), neck)


def arm(joints: Points) -> tuple[Points, ...]:
    """Bare arm with its hand."""
    x, y = joints[0]
    line = curve(joints)
    hand_x, hand_y = joints[2] + (joints[2] - joints[1]) * 0.12
    return (ellipse(x, y, 0.18, 0.18), ribbon(line, 0.18, 0.11), ellipse(hand_x, hand_y, 0.15, 0.18))


def leg(joints: Points) -> tuple[Points, ...]:
    """Bare leg."""
    return (ribbon(part(curve(joints), 0, 1, 16), 0.33, 0.13),)


def shoe(joints: Points, height: float) -> tuple[Points, ...]:
    """A shoe at the ankle; `height` says how far it reaches up the shin."""
    x, y = joints[2]
    outwards = 0.1 if x > 0 else -0.1
    shaft = ribbon(part(curve(joints), 1 - height, 1, 6), 0.19, 0.18)
    return (
        shaft,
        ellipse(float(x) + outwards, float(y) + 0.1, 0.27, 0.17),
    )


def sole(joints: Points) -> Points:
    """The rim of a shoe."""
    x, y = joints[2]
    outwards = 0.1 if x > 0 else -0.1
    return ellipse(float(x) + outwards, float(y) + 0.22, 0.27, 0.06)
