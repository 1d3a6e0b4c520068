from worker.decorators import register_tool as register_tool
