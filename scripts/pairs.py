"""Two hubs that take turns under the same load, for benchmarks of what one thing costs uplinks."""

import statistics
import time

import hub as hubs
from rows_load import LOAD_S, Load

# Seconds of uplinks before those that count, in which the hub reads its files and its connections are made.
WARM_S = 3


class Side:
    """A hub that is started for each of its turns. `work` names what it does besides, and `count` asks how much of that it
    has done so far."""

    def __init__(self, hub, connection, work=None, count=lambda client: 0):
        self.hub, self.connection, self.work, self.count = hub, connection, work, count
        self.turns = []

    def take_turn(self):
        with self.hub:
            client = hubs.Client(self.hub)
            client.log_in()
            with Load(self.hub, self.connection):
                time.sleep(WARM_S)
            counted = self.count(client)
            with Load(self.hub, self.connection) as load:
                time.sleep(LOAD_S)
            counted = self.count(client) - counted
        if self.work and counted <= 0:
            raise hubs.Failure(f"no {self.work} under the load")
        self.turns.append((load.rate, load.ms(0.5), load.ms(0.99), counted / LOAD_S))

    def medians(self):
        return [statistics.median(column) for column in zip(*self.turns)]


def compare(name, sides, pairs):
    """Prints the medians of both sides, by name, and the ratio of the second one to the first."""
    for number in range(pairs):
        # Who comes first could be at an advantage.
        turn = list(sides.values())
        for side in turn if number % 2 == 0 else reversed(turn):
            side.take_turn()
    for kind, side in sides.items():
        rate, p50_ms, p99_ms, counted = side.medians()
        rates = ", ".join(f"{turn[0]:.0f}" for turn in side.turns)
        more = f", {counted:.0f} {side.work} a second" if side.work else ""
        print(f"{name}, {kind}: {rate:.0f} uplinks a second ({rates}), p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms{more}")
    one, other = sides.values()
    each = statistics.median(second[0] / first[0] for first, second in zip(one.turns, other.turns))
    print(f"{name}: ratio of the medians {other.medians()[0] / one.medians()[0]:.3f}, median of the ratios {each:.3f}",
          flush=True)
