from worker.face.agents import Agents as Agents
