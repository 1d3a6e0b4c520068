from worker.face.agent import Agent as Agent
from worker.face.agent import AgentsListItem as AgentsListItem
from worker.face.agents import Agents as Agents
