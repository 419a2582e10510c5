"""ECToNAS: breed, train and knock out, until the budget of epochs is spent (Algorithm 1).

Who competes and who wins stands in ``competition.py``; how children are made and trained in ``population.py``.
"""

from typing import ClassVar

from growsearch.actions import Build, Expect, Facts, Script, Take, Tell
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import exceeded, require
from growsearch.algorithms.ectonas.competition import Competition, choose
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.decisions import Candidate, affordable
from growsearch.algorithms.ectonas.individuals import Individual, fate_of, method_record, succession
from growsearch.algorithms.ectonas.population import Population
from growsearch.errors import UserError
from growsearch.networks.sequential import sequential_spec, start_topology
from growsearch.randomness import generator


class Ectonas(Algorithm[EctonasConfig]):
    """Evolution of sequential networks across topologies."""

    skips_candidates: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = True

    def __init__(self, config: EctonasConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        self.population = Population(config, facts)
        self.generation = 0

    def search(self) -> Script:
        """Warm start, generations while there is budget, final selection; the winner is not retrained."""
        config, seed, living = self.config, self.facts.seed, self.population
        first = yield self.start_network()
        require(exceeded(config, first.spec, self.facts.image_shape))
        living.add(first, Individual(0))
        yield Expect(round(config.epoch_limit))
        scores = yield from living.train("warm-up", affordable([(0, config.warm_up_epochs)], 0.0, config.hard_limit))
        parents = [Candidate(0, "start", first.params, scores.get(0, 0.0))]
        yield self.succeed(parents)
        while living.spent < config.epoch_limit and not living.over and self.may_breed():
            children = yield from Competition(living, config, seed, self.generation, parents).play()
            yield self.succeed(children or parents)
            if not children:
                break
            parents = children
        winner = choose(parents, config.alpha, config, generator(seed, "ectonas", "final")).id
        yield from living.retire("lost the final selection", [one.id for one in parents if one.id != winner])
        individual, net = living.individuals[winner], living.nets[winner]
        yield Tell(fate_of(individual, "won"))
        record = method_record(config, first.spec, net.spec, individual)
        record |= {"charged_epochs": living.spent, "generations": self.generation - 1, "candidates": living.created}
        *_, val_loss, val_accuracy, _ = individual.history[-1]
        return Found([net], 0, val_accuracy, val_loss, record, winner_epochs=individual.epochs)

    def may_breed(self) -> bool:
        """Whether another generation is allowed."""
        return not self.config.max_generations or self.generation <= self.config.max_generations

    def succeed(self, parents: list[Candidate]) -> Tell:
        """Tell which networks a generation, or the warm start, ends with; the next one begins."""
        living, self.generation = self.population, self.generation + 1
        return Tell(succession(self.generation - 1, parents, living.individuals, living.spent))

    def start_network(self) -> Build | Take:
        """The network that was handed in, or the topology that the settings name."""
        config, facts, optimizers = self.config, self.facts, {"weights": self.population.optimizer}
        if (given := facts.given.get("network")) is not None:
            if given.get("family") != "sequential":
                found = given.get("family", "another module")
                raise UserError(f"network: {found} given, but {config.name} starts from family sequential only")
            return Take("network", "0", 0, optimizers)
        if config.topology == "custom":
            spec = sequential_spec(config.cells, config.hidden, facts.image_shape, facts.num_classes)
        else:
            spec = start_topology(config.topology, facts.image_shape, facts.num_classes)
        return Build("0", 0, spec, ("initialise", 0), optimizers)
