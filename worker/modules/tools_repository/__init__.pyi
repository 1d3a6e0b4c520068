from worker.decorators import register_tool as register_tool
from worker.face.tools import Tool as Tool
from worker.face.tools import ToolsRepository as ToolsRepository
