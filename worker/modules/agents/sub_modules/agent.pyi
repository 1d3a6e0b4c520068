from worker.face.agent import Agent as Agent
