# SPDX-License-Identifier: MPL-2.0
"""When a series of samples is flat.

A straight line is laid through the samples of the second half (least squares): the first half is there
to warm up. What the line rises by within that half is the rise. It is flat if the rise is no more than
what the quantity is allowed, and three times what chance alone makes of such scattered samples
(the standard error of the rise). What falls is flat.

A leak rises by the same again in each such time, while what is allowed stays and chance counts less and
less: the longer a soak, the smaller the leak that it finds.
"""

import dataclasses
import math

SIGMAS = 3
#: Fewer samples in the second half say nothing.
FEWEST = 4


@dataclasses.dataclass
class Line:
    mean: float
    per_hour: float
    rise: float
    chance: float   # standard error of the rise
    allowed: float  # without chance
    flat: bool


def second_half(points):
    middle = (points[0][0] + points[-1][0]) / 2
    return [point for point in points if point[0] >= middle]


def judge(points, allowed):
    """points: (seconds, value), by time. Returns None if there are too few."""
    half = second_half(points) if points else []
    if len(half) < FEWEST:
        return None
    count = len(half)
    mean_x = sum(x for x, _ in half) / count
    mean_y = sum(y for _, y in half) / count
    spread = sum((x - mean_x) ** 2 for x, _ in half)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in half) / spread
    left = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in half)
    length = half[-1][0] - half[0][0]
    rise = slope * length
    chance = math.sqrt(left / (count - 2) / spread) * length
    return Line(mean_y, slope * 3600, rise, chance, allowed, rise <= allowed + SIGMAS * chance)
