"""What happens in a simulated drive: drawn at random, and said in the words of its schema. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kairoscope.fields import Value

SCHEMA: Final = "driving_world"
"""Name of the shipped schema in whose words drives are labelled."""
CLEAR, OVERCAST, RAIN, SNOW, FOG = "Clear skies", "Overcast", "Rain", "Snow", "Fog"
WEATHERS: Final = (CLEAR, OVERCAST, RAIN, SNOW, FOG)
DAY, DUSK, NIGHT = "Day", "Dusk", "Night"
LIGHTINGS: Final = (DAY, DUSK, NIGHT)
CITY, COUNTRY, HIGHWAY = "City street", "Country road", "Highway"
NO_JUNCTION, CROSSING, T_JUNCTION = "No junction", "Four-way crossing", "T-junction"
NO_LIGHT, GREEN, RED = "No traffic light", "Green", "Red"
KEEPS, LEFT, RIGHT = "Keeps its lane", "Turns left", "Turns right"
TO_LEFT, TO_RIGHT, STOPS = "Changes to the left lane", "Changes to the right lane", "Stops"
MANOEUVRES: Final = (KEEPS, LEFT, RIGHT, TO_LEFT, TO_RIGHT, STOPS)
FOLLOWING, YIELDING, WAITING = "Vehicle following", "Yield to pedestrians", "Wait at a red light"
SPEEDS_MPS: Final = {CITY: (6.0, 9.0), COUNTRY: (9.0, 13.0), HIGHWAY: (16.0, 22.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Everything that is true of one clip."""

    weather: str
    lighting: str
    road_type: str
    lanes: int
    """In the ego vehicle's direction."""
    junction: str
    traffic_light: str
    manoeuvre: str
    has_lead: bool
    has_pedestrian: bool
    speed_mps: float
    """Before anything happens."""
    start_lane: int
    """0 is the leftmost of the ego vehicle's direction."""

    @property
    def behaviours(self) -> tuple[str, ...]:
        """How the ego vehicle deals with others, in the schema's order."""
        stops = self.manoeuvre == STOPS
        found = {
            FOLLOWING: self.has_lead and self.manoeuvre in (KEEPS, STOPS),
            YIELDING: stops and self.has_pedestrian,
            WAITING: stops and self.traffic_light == RED,
        }
        return tuple(name for name, is_so in found.items() if is_so)


def draw_drive(rng: np.random.Generator) -> Drive:
    """Draw a drive. Manoeuvres are equally frequent, and so are weathers and lightings.

    The manoeuvre comes first, because it needs a road on which it can happen.
    """
    manoeuvre = str(rng.choice(MANOEUVRES))
    road_type = _road(rng, manoeuvre)
    lanes = {CITY: int(rng.integers(1, 3)), COUNTRY: 1, HIGHWAY: int(rng.integers(2, 4))}[road_type]
    if manoeuvre in (TO_LEFT, TO_RIGHT):
        lanes = max(lanes, 2)
    junction = _junction(rng, manoeuvre, road_type)
    has_pedestrian = road_type == CITY and (manoeuvre == STOPS and rng.random() < 0.5)
    return Drive(
        weather=str(rng.choice(WEATHERS)),
        lighting=str(rng.choice(LIGHTINGS)),
        road_type=road_type,
        lanes=lanes,
        junction=junction,
        traffic_light=_light(rng, manoeuvre, junction, has_pedestrian=has_pedestrian),
        manoeuvre=manoeuvre,
        # At the end of a road a vehicle that drives straight on would have nowhere to go.
        has_lead=bool(rng.random() < 0.5) and not (junction == T_JUNCTION and manoeuvre != STOPS),
        has_pedestrian=has_pedestrian,
        speed_mps=float(rng.uniform(*SPEEDS_MPS[road_type])),
        start_lane=_start_lane(rng, manoeuvre, lanes),
    )


def _road(rng: np.random.Generator, manoeuvre: str) -> str:
    possible = {
        LEFT: (CITY, COUNTRY),
        RIGHT: (CITY, COUNTRY),
        TO_LEFT: (CITY, HIGHWAY),
        TO_RIGHT: (CITY, HIGHWAY),
        STOPS: (CITY, CITY, COUNTRY),
    }.get(manoeuvre, (CITY, COUNTRY, HIGHWAY))
    return str(rng.choice(possible))


def _junction(rng: np.random.Generator, manoeuvre: str, road_type: str) -> str:
    if road_type == HIGHWAY or manoeuvre in (TO_LEFT, TO_RIGHT):
        return NO_JUNCTION
    if manoeuvre == KEEPS:
        return str(rng.choice((NO_JUNCTION, CROSSING)))
    return str(rng.choice((CROSSING, T_JUNCTION)))


def _light(rng: np.random.Generator, manoeuvre: str, junction: str, *, has_pedestrian: bool) -> str:
    if junction == NO_JUNCTION:
        return NO_LIGHT
    if manoeuvre == STOPS:
        # Somebody who stops has a reason that can be seen.
        return str(rng.choice((NO_LIGHT, RED))) if has_pedestrian else RED
    return str(rng.choice((NO_LIGHT, GREEN)))


def _start_lane(rng: np.random.Generator, manoeuvre: str, lanes: int) -> int:
    if manoeuvre == TO_LEFT:
        return int(rng.integers(1, lanes))
    if manoeuvre == TO_RIGHT:
        return int(rng.integers(0, lanes - 1))
    if manoeuvre == RIGHT:
        return lanes - 1
    return 0 if manoeuvre == LEFT else int(rng.integers(0, lanes))


def caption_of(drive: Drive) -> dict[str, Value]:
    """The caption of a drive in the fields of the schema `driving_world`."""
    return {
        "weather": drive.weather,
        "lighting": drive.lighting,
        "road_type": drive.road_type,
        "lanes": drive.lanes,
        "junction_type": drive.junction,
        "traffic_light": drive.traffic_light,
        "lead_vehicle": drive.has_lead,
        "pedestrian": drive.has_pedestrian,
        "manoeuvre": drive.manoeuvre,
        "behaviours": drive.behaviours,
        "description": described(drive),
    }


def described(drive: Drive) -> str:
    """The drive in two sentences."""
    lanes = "one lane" if drive.lanes == 1 else f"{drive.lanes} lanes"
    where = f"{drive.lighting}, {drive.weather.lower()}, {drive.road_type.lower()} with {lanes}."
    does = drive.manoeuvre[0].lower() + drive.manoeuvre[1:]
    what = f"The ego vehicle {does}"
    if drive.junction != NO_JUNCTION:
        article = "a" if drive.junction == CROSSING else "the"
        what += f" at {article} {drive.junction.lower().replace('t-', 'T-')}"
    seen = [
        words
        for words, is_so in (
            (f"a {drive.traffic_light.lower()} light", drive.traffic_light != NO_LIGHT),
            ("a vehicle ahead", drive.has_lead),
            ("a pedestrian", drive.has_pedestrian),
        )
        if is_so
    ]
    return f"{where} {what}{', with ' + ' and '.join(seen) if seen else ''}."
