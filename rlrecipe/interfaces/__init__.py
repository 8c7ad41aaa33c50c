"""The nouns of rlrecipe as small interfaces; no implementation, and nothing to import but this.

A component knows these interfaces and its own options. It knows neither the recipe nor the trainer,
which is why any of them can be tried alone, or replaced by one file.

Shapes: T steps of N environments are kept time-major, ``[T, N, ...]``; a sub-batch is ``[B, ...]``.
"""

from __future__ import annotations

from rlrecipe.interfaces.base import SEQUENCE_STEP as SEQUENCE_STEP
from rlrecipe.interfaces.base import Batch as Batch
from rlrecipe.interfaces.base import Entry as Entry
from rlrecipe.interfaces.base import Head as Head
from rlrecipe.interfaces.base import Key as Key
from rlrecipe.interfaces.base import Named as Named
from rlrecipe.interfaces.base import Number as Number
from rlrecipe.interfaces.base import Params as Params
from rlrecipe.interfaces.base import Scalars as Scalars
from rlrecipe.interfaces.base import Spaces as Spaces
from rlrecipe.interfaces.base import State as State
from rlrecipe.interfaces.base import Stateful as Stateful
from rlrecipe.interfaces.data import Collector as Collector
from rlrecipe.interfaces.data import Episodes as Episodes
from rlrecipe.interfaces.data import Logger as Logger
from rlrecipe.interfaces.data import ReplayBuffer as ReplayBuffer
from rlrecipe.interfaces.data import Sampler as Sampler
from rlrecipe.interfaces.data import Transform as Transform
from rlrecipe.interfaces.data import Vectored as Vectored
from rlrecipe.interfaces.learning import Algorithm as Algorithm
from rlrecipe.interfaces.learning import Distribution as Distribution
from rlrecipe.interfaces.learning import Encoder as Encoder
from rlrecipe.interfaces.learning import Exploration as Exploration
from rlrecipe.interfaces.learning import Memory as Memory
from rlrecipe.interfaces.learning import Network as Network
from rlrecipe.interfaces.learning import Objective as Objective
from rlrecipe.interfaces.learning import OffPolicy as OffPolicy
from rlrecipe.interfaces.learning import OnPolicy as OnPolicy
from rlrecipe.interfaces.learning import Optimizer as Optimizer
from rlrecipe.interfaces.learning import Prepares as Prepares
from rlrecipe.interfaces.learning import Target as Target
