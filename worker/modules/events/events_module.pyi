from worker.face.listening import Events as Events
from worker.words.plans import MAX_PLAN_RETRIES as MAX_PLAN_RETRIES
