# SPDX-License-Identifier: MPL-2.0
"""Decides whether a series of samples is flat.

A straight line is fitted to the samples of the second half (least squares); the first half is for
warming up. The rise is how much the line rises within that half. The series is flat if the rise is
no more than the allowed value plus three times the rise that chance alone makes of samples with
this scatter (the standard error of the rise). A falling series is flat.

A leak rises by the same amount in each period, while the allowed value stays and chance counts less
and less: the longer a soak, the smaller the leak that it finds.
"""

import dataclasses
import math

SIGMAS = 3
#: With fewer samples in the second half there is no verdict.
FEWEST = 4


@dataclasses.dataclass
class Line:
    mean: float
    per_hour: float
    rise: float
    chance: float   # standard error of the rise
    allowed: float  # without the part for chance
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
