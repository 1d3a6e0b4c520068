from worker.words.errors import ConfigurationError as ConfigurationError
from worker.words.errors import Conflict as Conflict
from worker.words.errors import GiveUp as GiveUp
from worker.words.errors import LeaseLost as LeaseLost
from worker.words.errors import ModuleException as ModuleException
from worker.words.errors import NotFound as NotFound
from worker.words.errors import Unavailable as Unavailable
from worker.words.errors import ValidationError as ValidationError
