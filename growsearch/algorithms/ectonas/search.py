"""ECToNAS: breed, train and knock out, until the budget of epochs is spent (Algorithm 1).

What is decided stands in ``evolution.py``; here requests are served: children made, trained and retired.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import nn

from growsearch.algorithms.base import Algorithm, Outcome
from growsearch.algorithms.ectonas.charges import partial_batches, tidy
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.evolution import Competition, Request, Script, final_selection, warm_up
from growsearch.algorithms.ectonas.fitness import Candidate, rolling_score
from growsearch.algorithms.ectonas.morph import morph, trace_channels
from growsearch.algorithms.ectonas.offspring import Offspring, child_spec, offspring
from growsearch.algorithms.ectonas.population import EctonasIndividual, EctonasState, fate_of
from growsearch.algorithms.ectonas.rejection import rejection
from growsearch.algorithms.ectonas.report import method_record
from growsearch.errors import UserError
from growsearch.events import Edit, Epoch, Event, Phase
from growsearch.networks import build
from growsearch.networks.sequential import Sequential, sequential_spec, start_topology
from growsearch.randomness import generator
from growsearch.surgery import ChannelMap
from growsearch.training import Engine, Network, OptimizerConfig, Recipe
from growsearch.training.out_of_memory import OutOfMemory, attempt

Events = Iterator[Event | None]

SIDE_BY_SIDE = 4
"""Candidates that a GPU trains at a time: one alone leaves most of it idle."""

CLOSING = ("succeed", "crown")
"""Requests that end a chapter: nothing is answered."""


class Ectonas(Algorithm[EctonasConfig, EctonasState]):
    """Evolution of sequential networks across topologies."""

    skips_candidates = True
    clock = staticmethod(time.monotonic)
    _traced: tuple[Network, ChannelMap] | None = None

    def __init__(self, config: EctonasConfig, engine: Engine, given: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__(config, engine, given)
        self._together = config.interleave or (1 if engine.device.type == "cpu" else SIDE_BY_SIDE)
        engine.open_cuda_streams(self._together)
        self._looked_at = self.clock()

    def start(self) -> EctonasState:
        """The start network, untrained."""
        network = Network(0, self._start_module(), weights=self._optimizer())
        self.engine.place(network)
        first = Candidate(0, "start", network.parameter_count(), 0.0)
        return EctonasState({"0": network}, {"0": EctonasIndividual(0)}, [asdict(first)], network.spec())

    def _start_module(self) -> nn.Module:
        """The network that was handed in, or the topology that the settings name."""
        config, data, given = self.config, self.engine.data, self.given.get("network")
        if isinstance(given, Sequential):
            return given
        if given is not None:
            raise UserError(
                f"network: a {type(given).__name__} found, one of family sequential expected by {config.name}"
            )
        if config.topology == "custom":
            spec = sequential_spec(config.cells, config.hidden, data.image_shape, data.num_classes)
        else:
            spec = start_topology(config.topology, data.image_shape, data.num_classes)
        return build(spec, generator(self.engine.seed, "initialise", 0))

    def run(self) -> Events:
        """Warm start, generations while there is budget, final selection."""
        while self.state.winner < 0:
            yield from self._perform(self._chapter())

    def outcome(self) -> Outcome:
        """The winner as it was trained in the search; nothing is retrained."""
        s = self.state
        person, network = s.people[str(s.winner)], s.networks[str(s.winner)]
        record = method_record(self.config, s.start_spec, network.spec(), person)
        record |= {"charged_epochs": s.spent, "generations": s.generation - 1, "candidates": s.next_id - 1}
        *_, val_loss, val_accuracy, _ = person.history[-1]
        return Outcome([network], 0, val_accuracy, val_loss, record, winner_epochs=person.epochs)

    def expected_epochs(self) -> int:
        """The budget; the last generation may go beyond it."""
        return round(self.config.epoch_limit)

    def _chapter(self) -> Script:
        """What the state stands in: warm start, a generation, or the final selection."""
        s, config, seed = self.state, self.config, self.engine.seed
        parents = [Candidate(**row) for row in s.parents]
        if s.generation == 0:
            return warm_up(parents[0], config)
        if s.spent_before < config.epoch_limit and not (s.barren or s.over) and self._may_breed():
            return Competition(config, seed, s.generation, parents, s.spent_before).play()
        return final_selection(parents, config, generator(seed, "ectonas", "final"))

    def _may_breed(self) -> bool:
        return not self.config.max_generations or self.state.generation <= self.config.max_generations

    def _perform(self, script: Script) -> Events:
        """Replay what the chapter has already heard, then serve its requests."""
        s = self.state
        request = next(script)
        for asked, answer in s.answers:
            if asked != request:
                raise UserError(
                    f"checkpoint: request {asked} found, {request} expected by this version and configuration"
                )
            request = script.send(answer)
        while True:
            yield from self._serve(request)
            if request[0] in CLOSING:
                return
            answer, s.work, s.reply = s.reply, None, None
            s.answers.append([request, answer])
            request = script.send(answer)

    def _serve(self, request: Request) -> Events:
        kind, *details = request
        match kind:
            case "breed":
                yield from self._breed(*details)
            case "train":
                yield from self._train(*details)
            case "retire":
                yield from self._retire(*details)
            case "succeed":
                yield self._succeed(*details)
            case "crown":
                yield self._crown(*details)

    def _breed(self, parents: list[int]) -> Events:
        """Make every child of every parent, or say why it is rejected."""
        s = self.state
        if s.work is None:
            s.reply, s.work = [], []
            for parent in parents:
                children = offspring(s.networks[str(parent)].spec(), self.config.amounts)
                s.work += [[parent, *vars(child).values()] for child in children]
        while s.work:
            parent, *details = s.work.pop(0)
            event = self._make_child(s.people[str(parent)], Offspring(*details))
            yield event

    def _make_child(self, parent: EctonasIndividual, child: Offspring) -> Event:
        s, config = self.state, self.config
        id, s.next_id = s.next_id, s.next_id + 1
        origin = s.networks[str(parent.id)]
        before = origin.parameter_count()
        spec = child_spec(origin.spec(), child)
        person = parent.child(id, s.generation, child.op, child.text)
        if reason := rejection(spec, before, config.limits, config.max_params):
            return fate_of(person, f"rejected: {reason}")
        try:
            with attempt(f"{child.op} on a copy", origin):
                network = origin.copy(id)
                draw = generator(self.engine.seed, "morph", id)
                morph(cast(Sequential, network.module), child, config.morphs, draw, self._channel_map(origin))
        except OutOfMemory as lack:
            if not self._may_skip(person):
                raise
            return fate_of(person, f"rejected: {lack.facts}")
        if not all(torch.isfinite(p).all() for p in network.module.parameters()):
            return fate_of(person, "rejected: weights that are not finite")
        network.reset_optimizers(weights=self._optimizer())
        network.settle()
        s.networks[str(id)], s.people[str(id)] = network, person
        params = network.parameter_count()
        person.edits.append([person.epochs, child.op, child.text, params])
        s.reply.append([id, child.op, params, parent.id])
        return Edit(
            network=id,
            op=child.op,
            where=child.text,
            epoch=len(person.history),
            params=params,
            detail={"parent": parent.id, "generation": s.generation, "epochs": person.epochs, "parent_params": before},
        )

    def _channel_map(self, network: Network) -> ChannelMap:
        """Traced once for all children of a parent; not part of the state."""
        if self._traced is None or self._traced[0] is not network:
            self._traced = (network, trace_channels(cast(Sequential, network.module)))
        return self._traced[1]

    def _train(self, phase: str, calls: list[list[Any]]) -> Events:
        """Train networks for the epochs asked, a few of them in turn."""
        s = self.state
        if s.work is None:
            s.work = [list(call) for call in calls]
            s.reply = {"scores": {}, "spent": s.spent, "over": s.over}
        running: dict[int, Events] = {}
        while s.work and not s.over:
            call = min(s.work[: self._together], key=self._progress)
            if call[0] not in running:
                running[call[0]] = self._train_part(phase, call)
            event = next(running[call[0]])
            if event is not None:
                del running[call[0]]
            yield event

    def _progress(self, call: list[Any]) -> int:
        return self.state.people[str(call[0])].cursor.used

    def _train_part(self, phase: str, call: list[Any]) -> Events:
        """One epoch, or the fraction that is left of a call; the last thing yielded is its event."""
        s, (id, left) = self.state, call
        assert s.work is not None
        person, network, part = s.people[str(id)], s.networks[str(id)], min(1.0, call[1])
        batches = partial_batches(self._num_batches(), part) if part < 1 else None
        lost = ""
        try:
            stats = yield from self.engine.epoch(network, person.cursor, self._recipe(), self.config.lr, batches)
            if person.parent is None:
                self.check(stats, network)
            if stats.outcome == "ok":
                val = self.engine.evaluate(network)
            else:
                lost = stats.outcome
        except OutOfMemory as lack:
            if not self._may_skip(person):
                raise
            lost = lack.facts
        s.spent = s.reply["spent"] = tidy(s.spent + part)
        if lost:
            s.work.remove(call)
            s.reply["scores"][str(id)] = None
            yield self._lose(id, f"dropped: {lost}")
            return
        params = network.parameter_count()
        person.epochs = tidy(person.epochs + part)
        person.history.append([person.epochs, stats.loss, stats.accuracy, val.loss, val.accuracy, params])
        person.cursor.next_pass()
        call[1] = tidy(left - part)
        if call[1] <= 0:
            s.work.remove(call)
        s.reply["scores"][str(id)] = self._score(person)
        self._look_at_clock()
        yield Epoch(
            network=id,
            phase=phase,
            epoch=len(person.history) - 1,
            train_loss=stats.loss,
            train_accuracy=stats.accuracy,
            val_loss=val.loss,
            val_accuracy=val.accuracy,
            lr=self.config.lr,
            batch_size=self.engine.batch_size(self.config.batch_size),
            images=stats.images,
            params=params,
        )

    def _may_skip(self, person: EctonasIndividual) -> bool:
        """Whether the search goes on without a network that memory has no room for; not without the first."""
        return self.engine.hardware.out_of_memory == "skip" and person.parent is not None

    def _look_at_clock(self) -> None:
        """Count seconds if they are capped; a resumed run counts from its own beginning."""
        s, limit, now = self.state, self.config.max_seconds, self.clock()
        if limit:
            s.seconds += now - self._looked_at
            s.over = s.reply["over"] = s.seconds >= limit
        self._looked_at = now

    def _retire(self, fate: str, ids: list[int]) -> Events:
        s = self.state
        if s.work is None:
            s.work = list(ids)
        while s.work:
            yield self._lose(s.work.pop(0), fate)

    def _lose(self, id: int, fate: str) -> Event:
        """Take a network out of the state and tell what became of it."""
        del self.state.networks[str(id)]
        person = self.state.people.pop(str(id))
        return fate_of(person, fate)

    def _succeed(self, candidates: list[dict[str, Any]]) -> Event:
        """Close the chapter and open the next; without candidates the parents stay and are the last."""
        s = self.state
        s.parents, s.barren = candidates or s.parents, not candidates
        s.generation, s.spent_before, s.answers = s.generation + 1, s.spent, []
        living = [s.people[str(row["id"])] for row in s.parents]
        ways = " and ".join(
            f"{p.op} ({100 * p.history[-1][4]:.1f} %, {row['params']} parameters)"
            for p, row in zip(living, s.parents, strict=True)
        )
        title = "warm start" if s.generation == 1 else f"generation {s.generation - 1}"
        detail = {"parents": [person.id for person in living], "spent": s.spent}
        return Phase(living[0].id, f"{title} leaves {ways}", int(s.spent), detail)

    def _crown(self, id: int) -> Event:
        s = self.state
        s.winner, s.answers = id, []
        return fate_of(s.people[str(id)], "won")

    def _score(self, person: EctonasIndividual) -> float:
        column = 4 if self.config.score_key == "val_accuracy" else 2
        return rolling_score([row[column] for row in person.history], self.config.rolling)

    def _num_batches(self) -> int:
        return -(-len(self.engine.data.train) // self.config.batch_size)

    def _recipe(self) -> Recipe:
        return Recipe(batch_size=self.config.batch_size)

    def _optimizer(self) -> OptimizerConfig:
        return OptimizerConfig(lr=self.config.lr, momentum=0.0)
