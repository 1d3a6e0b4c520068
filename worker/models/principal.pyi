from worker.words.protocol import Principal as Principal
from worker.words.protocol import PrincipalKind as PrincipalKind
