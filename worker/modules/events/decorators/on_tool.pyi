from worker.decorators import on_tool_after as on_tool_after
from worker.decorators import on_tool_before as on_tool_before
from worker.decorators import on_tool_error as on_tool_error
