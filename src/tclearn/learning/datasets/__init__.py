"""Public data sets for demonstrations, benchmarks and the papers' figures."""

from tclearn.learning.datasets.catalogue import NAMES, load
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.datasets.split import by_sizes, dirichlet, joined, partition, stratified_split

__all__ = ["NAMES", "Dataset", "by_sizes", "dirichlet", "joined", "load", "partition", "stratified_split"]
