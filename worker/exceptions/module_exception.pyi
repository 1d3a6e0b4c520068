from worker.words.errors import ModuleException as ModuleException
from worker.words.errors import ProviderUnreachableError as ProviderUnreachableError
