from worker.face.tools import Tool as Tool
