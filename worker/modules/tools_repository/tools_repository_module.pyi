from worker.face.tools import ToolsRepository as ToolsRepository
