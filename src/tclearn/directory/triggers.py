"""A look for backdoors in a model of the chain, on records at hand; nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.site import SiteFile
from tclearn.errors import Code, UsageError
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, materialise
from tclearn.learning.source import check_source, load_factory
from tclearn.learning.trainer import Task

if TYPE_CHECKING:
    from tclearn.learning.trainers.torch_triggers import Triggers


def own_images(site: SiteFile) -> tuple[Records, str]:
    """A member's own records, or where it brings none those of the global test set; and what they are, in words.

    Raises:
        UsageError: ``site.toml`` names neither, or what it names cannot be imported.
        DataError: the records cannot be read.
    """
    for key, words in (("data", "your data"), ("global_test", "the global test set")):
        source = site.source(key)
        if source is not None:
            return materialise(source, words), words
    raise UsageError(
        Code.USAGE,
        f"{site.path} names no data",
        expected='data = "module:callable"',
        remedy="add it, or name a data set with --data",
    )


def look_for_triggers(
    coalition: CoalitionDirectory,
    parameters: Parameters,
    records: Records,
    *,
    site: SiteFile,
    seed: int,
    on_class: Callable[[int, int], None],
) -> Triggers:
    """Look for the smallest mark that turns images into each class of a coalition's model.

    Args:
        coalition: whose charter names the model.
        parameters: of the model.
        records: clean images with their classes.
        site: on what to compute.
        seed: of the search.
        on_class: told how many classes are done, and of how many.

    Raises:
        CharterError: the model code here is not what the charter says, or makes no PyTorch network.
        UsageError: ``site.toml`` names a device or a number of threads that there is not.
        DataError: the records are no images that the model takes, or it is no classifier of them.
        ParametersError: the parameters are not of this model, or not finite.
    """
    from tclearn.learning.trainers.torch import TorchTrainer
    from tclearn.learning.trainers.torch_triggers import TriggerSearch, check_images, find_triggers

    check_images(records)
    model = coalition.charter.model
    factory = load_factory(model.factory)
    check_source(factory, model.source)
    task = Task(
        model=factory,
        arguments=model.keyword_arguments(),
        metric=coalition.charter.task.metric,
        global_test=records,
    )
    trainer = TorchTrainer(**site.options())
    network = trainer.network(task, parameters, records)
    return find_triggers(network, records, TriggerSearch(seed=seed), threads=trainer.threads, on_class=on_class)
